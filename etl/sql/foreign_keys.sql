-- The foreign keys of live tables, each with the conditions by which its rows are compared with the referenced table's.
-- A key that is NOT ENFORCED (since PostgreSQL 18) is left out. Target side.
-- :'oids': the live tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f foreign_keys.sql
--
-- is_valid:     whether all rows satisfy the key: it is not NOT VALID
-- columns:      the table's columns
-- refers:       a condition on a row fk of the table: it has to have a counterpart
-- matches:      a condition on rows fk and pk (of the referenced table): pk is the counterpart
-- covers:       of a key with PERIOD, a condition on fk: the periods of all rows that match cover its own; else NULL
-- only:         ONLY, unless the referenced table is partitioned
-- is_readable:  whether this session's role may read all rows of the referenced table
--
-- The conditions are those of the server's own check (RI_Initial_Check in its source): it compares by the operators
-- that the key has, with the collation of the referenced column.
SELECT c.oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       k.conname::text AS constraint,
       rn.nspname::text AS referenced_schema,
       r.relname::text AS referenced_name,
       k.convalidated AS is_valid,
       p.columns,
       CASE k.confmatchtype WHEN 'f' THEN p.any_set ELSE p.all_set END AS refers,
       p.matches,
       p.covers,
       CASE r.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END AS only,
       pg_catalog.has_schema_privilege(rn.oid, 'USAGE') AND pg_catalog.has_table_privilege(r.oid, 'SELECT')
         AND NOT pg_catalog.row_security_active(r.oid) AS is_readable
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0
  JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
  JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
 CROSS JOIN LATERAL (
       SELECT coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) AS is_enforced,  -- since PostgreSQL 18
              coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false) AS has_period
       ) AS newer
 CROSS JOIN LATERAL (
       SELECT array_agg(f.attname::text ORDER BY x.i) AS columns,
              string_agg(format('fk.%I IS NOT NULL', f.attname), ' AND ' ORDER BY x.i) AS all_set,
              '(' || string_agg(format('fk.%I IS NOT NULL', f.attname), ' OR ' ORDER BY x.i) || ')' AS any_set,
              string_agg(CASE WHEN newer.has_period AND x.i = cardinality(k.conkey) THEN
                             format('pk.%I OPERATOR(pg_catalog.&&) fk.%I', a.attname, f.attname)
                         ELSE
                             format('pk.%I%s OPERATOR(%I.%s) fk.%I%s%s', a.attname,
                                    CASE WHEN a.atttypid <> o.oprleft THEN
                                        format('::%I.%I', ltn.nspname, lt.typname) END,
                                    opn.nspname, o.oprname, f.attname,
                                    CASE WHEN f.atttypid <> o.oprright THEN
                                        format('::%I.%I', rtn.nspname, rt.typname) END,
                                    CASE WHEN f.attcollation <> a.attcollation THEN
                                        format(' COLLATE %I.%I', ln.nspname, l.collname) END)
                         END, ' AND ' ORDER BY x.i) AS matches,
              string_agg(format('fk.%I OPERATOR(pg_catalog.<@) pg_catalog.range_agg(pk.%I)', f.attname, a.attname), '')
                FILTER (WHERE newer.has_period AND x.i = cardinality(k.conkey)) AS covers
         FROM unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS x (fk, pk, operator, i)
         JOIN pg_catalog.pg_attribute f ON f.attrelid = k.conrelid AND f.attnum = x.fk
         JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.pk
         JOIN pg_catalog.pg_operator o ON o.oid = x.operator
         JOIN pg_catalog.pg_namespace opn ON opn.oid = o.oprnamespace
         JOIN pg_catalog.pg_type lt ON lt.oid = o.oprleft
         JOIN pg_catalog.pg_namespace ltn ON ltn.oid = lt.typnamespace
         JOIN pg_catalog.pg_type rt ON rt.oid = o.oprright
         JOIN pg_catalog.pg_namespace rtn ON rtn.oid = rt.typnamespace
         LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
         LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace
       ) AS p
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]) AND newer.is_enforced
 ORDER BY 2, 3, 4;
