CREATE TABLE IF NOT EXISTS `orders` (
  `id` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `status` ENUM('new','paid') NOT NULL DEFAULT 'new',
  INDEX `idx_a` (`status`, `id`),
  FULLTEXT KEY ft (`body`),
  UNIQUE KEY `uk` (`x`)
) ENGINE = InnoDB
  DEFAULT CHARSET = utf8mb4
  COLLATE = utf8mb4_unicode_ci
  COMMENT = 'Orders';
ALTER TABLE `orders` ADD INDEX `i` (`a`), ADD COLUMN `b` INT NULL AFTER `a`, MODIFY COLUMN c VARCHAR(5) NOT NULL, CHANGE COLUMN d e INT;
SELECT SQL_CALC_FOUND_ROWS * FROM a STRAIGHT_JOIN b USE INDEX (x) WHERE a.id = b.id GROUP BY a WITH ROLLUP;
SELECT GROUP_CONCAT(DISTINCT name ORDER BY name SEPARATOR ', ') FROM t;
INSERT IGNORE INTO t SET a = 1, b = 2;
LOAD DATA INFILE '/tmp/x' INTO TABLE t FIELDS TERMINATED BY ',' LINES TERMINATED BY '\n';
CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE x < NOW();
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = UPPER(NEW.a);
CREATE TABLE t2 AS SELECT * FROM t;
CREATE TABLE t3 LIKE t;
CREATE USER 'a'@'localhost' IDENTIFIED BY 'x';
GRANT ALL PRIVILEGES ON db.* TO 'a'@'localhost' WITH GRANT OPTION;
FLUSH PRIVILEGES;
SHOW CREATE TABLE t;
/*!40101 SET NAMES utf8 */;
LOCK TABLES `a` WRITE;
INSERT INTO `a` VALUES (1,'x'),(2,'y');
UNLOCK TABLES;
CREATE VIRTUAL TABLE IF NOT EXISTS notes_fts USING fts5(title, body, content='notes', content_rowid='id');
CREATE TRIGGER notes_ai AFTER INSERT ON notes BEGIN
  INSERT INTO notes_fts(rowid, title, body) VALUES (new.id, new.title, new.body);
END;
PRAGMA journal_mode = WAL;
CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID, STRICT;
INSERT INTO kv (key, value) VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value WHERE excluded.version > kv.version;
ATTACH DATABASE 'x.db' AS aux;
select a from t order by random() limit 1;
select iif(a is null, 0, 1), total(x) from t where name glob 'a*' and y match 'foo' collate nocase;
create or replace function f(a int, b text default 'x') returns table (id int, name text) language sql stable as $$
  select id, name from t where x = a;
$$;
create table measurement_y2024 partition of measurement for values from ('2024-01-01') to ('2025-01-01');
create policy tenant_isolation on events for all to app using (tenant_id = current_setting('app.tenant')::uuid) with check (tenant_id = current_setting('app.tenant')::uuid);
create type addr as (street text, city text);
create domain email as citext check (value ~ '^[^@]+@[^@]+$');
select x::numeric(10,2), cast(a as int), extract(year from d), substring(s from 1 for 3), trim(both ' ' from s), position('a' in s), a at time zone 'UTC', interval '1' day from t where a is distinct from b and (a,b) in ((1,2),(3,4)) and a like any (array['x']) and not (x = 1);
insert into a default values;
insert into a (x) select x from b where y union all select z from c on conflict do nothing;
with d as (delete from a where x < 5 returning *) insert into b select * from d;
with u as (update a set x = 1 where y returning id) select count(*) from u;
select a, case x when 1 then 'a' else 'b' end from t;
select case when a then (select b from c where d = e order by f limit 1) else coalesce((select max(g) from h), 0) end as x, y from t;
select * from a join b using (id) natural join c left join (select * from d where x = 1 and y = 2 and zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz = 3) dd on dd.id = a.id and dd.kind = 'x' full outer join e on true;
select * from tablename as t tablesample bernoulli (10);
values (1, 2), (3, 4);
table x;
