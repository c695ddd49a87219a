-- name: GetUserByID :one
SELECT id, email, created_at FROM users WHERE id = $1 LIMIT 1;

-- name: ListUsers :many
SELECT id, email FROM users ORDER BY created_at DESC LIMIT $1 OFFSET $2;

-- name: CreateUser :one
INSERT INTO users (email, password_hash, first_name, last_name, role, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, NOW(), NOW()) RETURNING id, email, created_at;

WITH monthly AS (
    SELECT date_trunc('month', o.created_at) AS month, SUM(oi.quantity * oi.unit_price) AS revenue, COUNT(DISTINCT o.customer_id) AS customers
    FROM orders o
    INNER JOIN order_items oi ON oi.order_id = o.id
    WHERE o.status IN ('paid','shipped') AND o.created_at >= DATE '2024-01-01'
    GROUP BY 1
),
growth AS (
    SELECT month, revenue, customers, LAG(revenue) OVER (ORDER BY month) AS prev_revenue,
           ROUND(100.0 * (revenue - LAG(revenue) OVER (ORDER BY month)) / NULLIF(LAG(revenue) OVER (ORDER BY month), 0), 2) AS growth_pct
    FROM monthly
)
SELECT to_char(month, 'YYYY-MM') AS month, revenue, growth_pct,
       CASE WHEN growth_pct IS NULL THEN 'n/a' WHEN growth_pct > 10 THEN 'strong' WHEN growth_pct BETWEEN 0 AND 10 THEN 'ok' ELSE 'down' END AS trend
FROM growth ORDER BY month;

WITH RECURSIVE org AS (
  SELECT id, manager_id, name, 1 AS depth, ARRAY[id] AS path FROM employees WHERE manager_id IS NULL
  UNION ALL
  SELECT e.id, e.manager_id, e.name, o.depth + 1, o.path || e.id FROM employees e JOIN org o ON o.id = e.manager_id WHERE NOT e.id = ANY(o.path)
)
SELECT repeat('  ', depth - 1) || name AS tree FROM org ORDER BY path;

SELECT d.name, e.name, e.salary FROM departments d JOIN LATERAL (SELECT name, salary FROM employees WHERE department_id = d.id ORDER BY salary DESC LIMIT 3) e ON TRUE;
SELECT u.id, (SELECT count(*) FROM posts p WHERE p.user_id = u.id AND p.published_at IS NOT NULL) AS posts, EXISTS(SELECT 1 FROM admins a WHERE a.user_id = u.id) AS is_admin FROM users u;

UPDATE products SET price = CASE WHEN category = 'a' THEN price * 1.1 ELSE price END, updated_at = CURRENT_TIMESTAMP WHERE id IN (SELECT product_id FROM promo);
UPDATE t SET (a, b) = (SELECT x, y FROM s WHERE s.id = t.id);
DELETE FROM logs WHERE created_at < NOW() - INTERVAL '90 days' AND level NOT IN ('error', 'fatal');

SELECT jsonb_build_object('id', u.id, 'name', u.name, 'orders', (SELECT jsonb_agg(jsonb_build_object('id', o.id, 'total', o.total) ORDER BY o.id) FROM orders o WHERE o.user_id = u.id)) FROM users u WHERE u.data @> '{"a": 1}' AND u.data ? 'b' AND u.tags && ARRAY['x','y'] AND u.data #>> '{a,b}' = 'c';

SELECT product, SUM(amount) FILTER (WHERE region = 'EU') AS eu, SUM(amount) FILTER (WHERE region = 'US') AS us FROM sales GROUP BY ROLLUP(product), GROUPING SETS ((a), (b), ()) HAVING SUM(amount) > 1000;
CREATE VIEW active_users AS SELECT id, email FROM users WHERE deleted_at IS NULL WITH CHECK OPTION;
CREATE TABLE events (id UUID DEFAULT gen_random_uuid() PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('click', 'view', 'purchase')), payload JSONB NOT NULL DEFAULT '{}'::jsonb, occurred_at TIMESTAMPTZ NOT NULL DEFAULT now(), CONSTRAINT events_account_fk FOREIGN KEY (account_id, tenant_id) REFERENCES accounts (id, tenant_id) ON UPDATE CASCADE ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX CONCURRENTLY idx_events_kind_occurred_at ON events (kind, occurred_at DESC) INCLUDE (payload) WHERE kind <> 'view';
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events ALTER COLUMN kind SET NOT NULL, ALTER COLUMN kind TYPE varchar(20) USING kind::varchar(20);
ALTER TABLE users RENAME COLUMN a TO b;
alter table users rename to people;
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO app;
revoke all privileges on database x from public;
COPY users (id, name) FROM '/tmp/x.csv' WITH (FORMAT csv, HEADER true);
SET search_path TO public, extensions;
set local statement_timeout = '5s';
create extension if not exists "uuid-ossp";
create schema if not exists app authorization me;
drop index concurrently if exists idx;
truncate table a, b restart identity cascade;
create sequence s start with 1 increment by 5;
alter sequence s owned by t.id;
vacuum analyze users;
refresh materialized view concurrently mv;
savepoint a;
rollback to savepoint a;
prepare q (int) as select * from t where id = $1;
execute q(1);
