CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price INTEGER, kind INTEGER);
CREATE INDEX item_kind ON item (kind, price);
BEGIN;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
INSERT INTO item SELECT i, 'item' || (i * 7919 % 12007), i * 104729 % 9973, i % 37 FROM n;
COMMIT;
SELECT kind, count(*), sum(price), min(name) FROM item GROUP BY kind ORDER BY kind;
SELECT a.name, b.price FROM item a JOIN item b ON b.id = a.price WHERE a.kind = 5 AND b.name LIKE '%9%' ORDER BY b.price, a.name LIMIT 20;
UPDATE item SET price = price + 1 WHERE name LIKE 'item1%';
DELETE FROM item WHERE kind IN (1, 2, 3);
SELECT count(*), sum(price), avg(length(name)) FROM item;
