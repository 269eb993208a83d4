# work.pl - a job of bench/run programs: hashes, regular expressions, sorting, formatting.
use strict;
my (%count, %pairs, $sum);
while (<>) {
    last if $. > 5000;
    my @words = /([a-z]+)/g;
    $count{$_}++ for @words;
    $pairs{"$words[$_] $words[$_ + 1]"}++ for 0 .. $#words - 1;
    $sum += length while s/([aeiou])([^aeiou ])/$2$1/;
}
my @most = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
printf "%d %d %d %s\n", scalar keys %count, scalar keys %pairs, $sum, join ' ', map { sprintf '%s:%04d', $_, $count{$_} } @most[0 .. 9];
