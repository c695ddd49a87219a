/*
 * Views of the shop.
 */

create view buyers
as
select b.id as ID, concat(b.first, _utf8' ', b.last) as name
	, t.phone
from buyer as b join town as t on b.town_id = t.id
	join country on t.country_id = country.id;
create or alter view shares as
select cast((count(distinct o.id) * 100.0 / nullif((select count(*) from orders where status in ('Planned', 'Released', 'Running')), 0)) as decimal(5,2)) as share
from shop s left join orders o on s.id = o.shop_id and o.status in ('Planned', 'Released', 'Running', 'Something') cross apply string_split(o.tags, ',') x;
create view films as select a.x from (((actor a left join film_actor fa on ((a.actor_id = fa.actor_id))) left join film f on ((fa.film_id = f.film_id))) left join tag t on ((f.tag_id = t.tag_id)));
create table y2007 (constraint y2007_day check (((day >= '2007-01-01 00:00:00'::timestamp without time zone) and (day < '2007-02-01 00:00:00'::timestamp without time zone)))
)
inherits (days);
create domain year as integer
	constraint year_check check (((value >= 1901) and (value <= 2155)));
create table a (id int)

create index i on a (id)

insert into a values (1)
