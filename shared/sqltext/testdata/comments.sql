SELECT e.department_id,
       e.name,   -- employee
       /* the salary
          in euros */
       e.salary
  FROM employees e
 INNER JOIN departments d
    ON d.id = e.department_id
   AND d.active = 1
 WHERE e.salary > (SELECT AVG(salary)
                     FROM employees
                    WHERE department_id = e.department_id)
   -- only those who stay
   AND e.left_at IS NULL   -- still here
   OR  e.boss = 1
 ORDER BY e.salary DESC;

INSERT INTO t (a, b) VALUES
  (1, 'x'), -- first
  (2, 'y'), -- second
  -- third
  (3, 'z');

INSERT INTO t
    (a, b)
SELECT
    x,
    y
FROM z
WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.a = z.x)
ON CONFLICT (a)
    DO UPDATE SET
        b = EXCLUDED.b,
        updated_at = now()
    WHERE t.b IS DISTINCT FROM EXCLUDED.b
RETURNING *;

select
	case
		when a = 1 and b = 2 then 'x' -- one
		-- two
		else 'y'
	end as z
from t;

select a from t where -- here
a = 1;
select * from t where (a = 1 -- one
 or b = 2);
select coalesce(a, -- first
  b) from t;

create table t (
  a int, -- x
  b int  -- y
);
-- between
-- two

-- three
select 1; /* after */ select 2; -- end
update t set a = 1 /* one */, b = 2 -- two
where c = 3;
select 1 -- no semicolon
