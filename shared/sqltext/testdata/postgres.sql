-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION set_updated_at() RETURNS trigger AS $$
BEGIN
  NEW.updated_at = now();
  RETURN NEW;
END;
$$ LANGUAGE plpgsql;
-- +goose StatementEnd

create trigger trg before update on users for each row execute function set_updated_at();

do $$ begin raise notice 'x'; end $$;

CREATE TABLE orders (
    id         SERIAL PRIMARY KEY,   -- the id
    user_id    INTEGER NOT NULL REFERENCES users(id), -- owner
    -- money
    total      NUMERIC(10,2) NOT NULL CHECK (total >= 0),

    status     TEXT NOT NULL DEFAULT 'new' /* state */
    -- last
);

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
create index idx on orders using gin (data jsonb_path_ops);
comment on table orders is 'All orders';
SELECT a -- first
     , b -- second
     , c
FROM t -- table
-- where are we
WHERE a = 1 -- one
  AND b = 2;
SELECT string_agg(name, ', ' ORDER BY name) FILTER (WHERE active) AS names, percentile_cont(0.5) WITHIN GROUP (ORDER BY x) AS med, sum(x) OVER w, lag(x, 1) OVER (PARTITION BY a ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t WINDOW w AS (PARTITION BY a ORDER BY b);
explain (analyze, buffers) select * from t where a = 1;
MERGE INTO target t USING source s ON t.id = s.id WHEN MATCHED AND s.deleted THEN DELETE WHEN MATCHED THEN UPDATE SET name = s.name, qty = s.qty WHEN NOT MATCHED THEN INSERT (id, name, qty) VALUES (s.id, s.name, s.qty);
(select a from x) union all (select b from y) order by 1;
select a from x union select b from y except select c from z;
select * from (values (1,'a'),(2,'b')) as t(id, name);
select a.*, x.y from a cross join lateral (select y from b where b.id = a.id order by y desc limit 1) x;
select * from generate_series(1,10) g where g % 2 = 0 and -g < - 1 and a=-1 and b = - -1;
COPY (SELECT * FROM t) TO STDOUT WITH CSV HEADER;
select id from t for update skip locked;
