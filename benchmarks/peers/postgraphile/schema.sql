-- What PostGraphile shows: views and functions of its own schema, as its documentation advises, over our tables.
-- Written anew by every run. Functions are plain SQL and STABLE, so that PostgreSQL inlines them.
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;

CREATE VIEW bench.people AS
    SELECT id, email, first_name, last_name FROM public.users;
COMMENT ON VIEW bench.people IS E'@name person\n@primaryKey id';

CREATE VIEW bench.projects AS
    SELECT id, code, name, status::text AS status, start_date, end_date FROM public.projects;
COMMENT ON VIEW bench.projects IS E'@primaryKey id';

CREATE VIEW bench.assignments AS
    SELECT id, project_id, user_id, rate, start_date, end_date FROM public.assignments WHERE deleted_at IS NULL;
COMMENT ON VIEW bench.assignments IS
    E'@primaryKey id\n@foreignKey (user_id) references people (id)|@fieldName user\n@foreignKey (project_id) references projects (id)|@fieldName project|@foreignFieldName assignments';

CREATE VIEW bench.months AS
    SELECT c.user_id, c.month, COALESCE(c.override, c.computed) AS capacity,
        COALESCE((SELECT sum(COALESCE(f.stated, f.expected)) FROM public.forecasts AS f
            WHERE f.user_id = c.user_id AND f.month = c.month), 0.00) AS load
    FROM public.capacities AS c;
COMMENT ON VIEW bench.months IS E'@primaryKey user_id,month';

CREATE VIEW bench.cells AS
    SELECT id, user_id, project_id, month, COALESCE(stated, expected) AS days FROM public.forecasts
    WHERE stated IS NOT NULL OR expected <> 0 OR actual IS NOT NULL;
COMMENT ON VIEW bench.cells IS
    E'@primaryKey id\n@foreignKey (project_id) references projects (id)|@fieldName project\n@foreignKey (user_id,month) references months (user_id,month)|@foreignFieldName cells';

CREATE FUNCTION bench.project_page(page integer, size integer) RETURNS SETOF bench.projects
LANGUAGE sql STABLE AS $$
    SELECT v.* FROM bench.projects AS v JOIN public.projects AS p USING (id) WHERE p.deleted_at IS NULL
    ORDER BY lower(p.code), p.id OFFSET (page - 1) * size LIMIT size
$$;

CREATE FUNCTION bench.planning(from_month date, to_month date, page integer, size integer) RETURNS SETOF bench.people
LANGUAGE sql STABLE AS $$
    SELECT u.id, u.email, u.first_name, u.last_name FROM public.users AS u
    WHERE NOT u.is_service AND (u.is_active OR (u.status = 'LEFT' AND EXISTS (SELECT FROM public.contracts AS c
        WHERE c.user_id = u.id AND c.start_date < to_month + interval '1 month'
            AND (c.end_date IS NULL OR c.end_date >= from_month)))
        OR (u.status = 'DEACTIVATED' AND EXISTS (SELECT FROM public.forecasts AS f WHERE f.user_id = u.id
            AND f.month BETWEEN from_month AND to_month AND COALESCE(f.stated, f.expected) <> 0)))
    ORDER BY lower(u.last_name), lower(u.first_name), u.id OFFSET (page - 1) * size LIMIT size
$$;

CREATE FUNCTION bench.people_months(p bench.people, from_month date, to_month date) RETURNS SETOF bench.months
LANGUAGE sql STABLE AS $$
    SELECT * FROM bench.months AS m WHERE m.user_id = p.id AND m.month BETWEEN from_month AND to_month ORDER BY m.month
$$;
