"""choose.py IMAGE BLOCK: the text on stdin replaces the content of the block of text that begins with the line "#BLOCK-block-of-the-image"
(made by choice_block in grub.sh). The image is changed in place: give it a copy."""
import mmap
import sys

path, block = sys.argv[1:]
first = b"#%s-block-of-the-image\n" % block.encode()
last = b"\n#end-of-the-block\n"
text = first + sys.stdin.buffer.read()
with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as image:
    at = image.find(first)
    if at < 0 or image.find(first, at + 1) >= 0:
        sys.exit(f"choose.py: {path}: not exactly one block {block}")
    room = image.find(last, at) - at
    if len(text) > room:
        sys.exit(f"choose.py: {path}: block {block} has {room} bytes, the text {len(text)}")
    image[at : at + room] = text.ljust(room)
