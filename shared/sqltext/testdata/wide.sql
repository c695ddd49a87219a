SELECT user_id, ARRAY_AGG(STRUCT(name, ts) ORDER BY ts DESC LIMIT 1)[OFFSET(0)] AS latest, APPROX_COUNT_DISTINCT(x) FROM `proj.ds.table`, UNNEST(items) AS item WHERE DATE(ts) BETWEEN '2024-01-01' AND '2024-01-31' QUALIFY ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY ts DESC) = 1;
select * except (a, b) from my-project.ds.t where a-b > 0;
CREATE OR REPLACE TABLE ds.t PARTITION BY DATE(ts) CLUSTER BY user_id AS SELECT * FROM x;
create table sales (id int, d date) partition by range (d);
create policy p on docs for select using (owner = current_user);
select 'a'
'b';
select concat('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', bbbbbbbbbbbbbbbbbbbbbbbbbbb, 'cccccccccccccccccccccccccccccccccc', d) as long_name, x from t;
select first_name || ' ' || middle_name || ' ' || last_name || ' <' || email_address || '>' || ' lives in ' || city as description from people;
select * from t where id in (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35);
select a from t where (a = 1 and b = 2 and cccccccccccccccccccccccccccccccc = 3 or d = 4 and eeeeeeeeeeeeeeeeeeeeeeeeeeeeee = 5) and x;
insert into t (aaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbb, cccccccccccccccccccccccccccc, ddddddddddddddddddddd) values (1,2,3,4);
