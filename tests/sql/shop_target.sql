-- What people added on the reporting side after the first night and roles.sql: one of each thing that outlives the publish.
CREATE SCHEMA reports;
GRANT USAGE, CREATE ON SCHEMA public, sales, reports TO shop_owner, shop_bi, "shop Z", shop_a;

-- Privileges: with a chain of grantors whose names sort the other way round, and one that is not the owner's.
ALTER TABLE orders OWNER TO shop_owner;
GRANT SELECT ON orders TO "shop Z" WITH GRANT OPTION;
SET ROLE "shop Z"; GRANT SELECT ON orders TO shop_bi WITH GRANT OPTION; RESET ROLE;
SET ROLE shop_bi; GRANT SELECT ON orders TO shop_a; GRANT SELECT (id, note) ON orders TO PUBLIC; RESET ROLE;
GRANT UPDATE (note), INSERT (id, note) ON orders TO shop_a WITH GRANT OPTION;
REVOKE TRUNCATE, DELETE ON orders FROM shop_owner;
GRANT ALL ON customers TO shop_bi;
GRANT SELECT ON sales.orders TO PUBLIC;

COMMENT ON TABLE orders IS 'made here';
COMMENT ON COLUMN orders.note IS 'what they''d say';

CREATE INDEX "extra Index" ON orders (lower(note), qty DESC) INCLUDE (id) WHERE qty > 1;
COMMENT ON INDEX "extra Index" IS 'ours';
CREATE UNIQUE INDEX orders_identity ON orders (customer);
ALTER TABLE orders CLUSTER ON orders_identity;
ALTER TABLE orders ADD CONSTRAINT sane CHECK (qty < 1000000), ADD CONSTRAINT rare CHECK (id > 0) NOT VALID;
COMMENT ON CONSTRAINT sane ON orders IS 'ours';
ALTER TABLE orders ADD CONSTRAINT orders_note_key UNIQUE (note, id) DEFERRABLE;
CREATE STATISTICS orders_stats (mcv) ON qty, note FROM orders;
ALTER STATISTICS orders_stats SET STATISTICS 77;
COMMENT ON STATISTICS orders_stats IS 'ours';
-- three of one name, each in a schema of its own, on two tables of one schema
CREATE STATISTICS reports.orders_stats ON id, qty FROM orders;
ALTER STATISTICS reports.orders_stats SET STATISTICS 78;
COMMENT ON STATISTICS reports.orders_stats IS 'ours, too';
CREATE STATISTICS sales.orders_stats ON id, name FROM customers;
CREATE TABLE reports.regions (id int PRIMARY KEY);
INSERT INTO reports.regions SELECT generate_series(0, 300);
ALTER TABLE orders ADD CONSTRAINT in_region FOREIGN KEY (qty) REFERENCES reports.regions NOT VALID,
    -- between two tables of the run, of which the one that is referred to sorts first
    ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers ON DELETE CASCADE DEFERRABLE;
COMMENT ON CONSTRAINT in_region ON orders IS 'ours';
ALTER TABLE orders REPLICA IDENTITY USING INDEX orders_identity;
ALTER TABLE customers REPLICA IDENTITY FULL;
ALTER TABLE sales.orders REPLICA IDENTITY NOTHING;
ALTER TABLE orders ALTER note SET DEFAULT 'none'::text;

ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY "Own" ON orders AS RESTRICTIVE FOR SELECT TO shop_bi, shop_a
    USING (EXISTS (SELECT FROM customers c WHERE c.id = customer));
CREATE POLICY everyone ON orders USING (true) WITH CHECK (qty > 0);
COMMENT ON POLICY everyone ON orders IS 'ours';
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION reports.watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER on_update AFTER UPDATE OF note ON orders FOR EACH ROW WHEN (OLD.note <> NEW.note)
    EXECUTE FUNCTION reports.watch('an argument');
COMMENT ON TRIGGER on_update ON orders IS 'ours';
CREATE TRIGGER off BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION reports.watch();
CREATE TRIGGER replica BEFORE DELETE ON orders EXECUTE FUNCTION reports.watch();
CREATE TRIGGER always BEFORE TRUNCATE ON orders EXECUTE FUNCTION reports.watch();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION reports.watch();
ALTER TABLE orders DISABLE TRIGGER off, ENABLE REPLICA TRIGGER replica, ENABLE ALWAYS TRIGGER always;
CREATE RULE noted AS ON UPDATE TO orders DO ALSO NOTIFY orders_changed;
CREATE RULE quiet AS ON DELETE TO orders DO INSTEAD NOTHING;
ALTER TABLE orders DISABLE RULE quiet;
COMMENT ON RULE noted ON orders IS 'ours';

-- Views: on one table, on views, across schemas, on two tables of one name, recursive, with every option.
CREATE VIEW order_notes WITH (security_barrier, security_invoker = true) AS
    SELECT id, qty, note AS "The Note", qty * 2 AS twice FROM orders;
ALTER VIEW order_notes OWNER TO shop_owner;
GRANT SELECT ON order_notes TO shop_bi WITH GRANT OPTION;
GRANT UPDATE ("The Note") ON order_notes TO shop_a;
COMMENT ON VIEW order_notes IS 'ours';
COMMENT ON COLUMN order_notes."The Note" IS 'ours, too';
ALTER VIEW order_notes ALTER "The Note" SET DEFAULT 'empty';
CREATE VIEW reports.checked WITH (check_option = cascaded) AS SELECT * FROM orders WHERE qty > 1;
CREATE VIEW reports."both" AS SELECT o.id, s.offer FROM orders o JOIN sales.orders s USING (id);
CREATE VIEW reports.on_both AS SELECT id, (offer).note FROM reports."both";
CREATE RECURSIVE VIEW reports.ladder (id) AS
    SELECT min(id) FROM orders UNION ALL SELECT o.id FROM orders o JOIN ladder l ON o.id = l.id + 1;
CREATE VIEW reports.whole_row AS SELECT o AS the_order, customers.* FROM orders o JOIN customers ON o.customer = customers.id;
CREATE VIEW reports.typed AS SELECT 'sad'::mood AS mood, '(1,fine,x)'::sales.offer AS offer, count(*) FROM orders;
CREATE TRIGGER instead INSTEAD OF INSERT ON reports."both" FOR EACH ROW EXECUTE FUNCTION reports.watch();
CREATE RULE to_orders AS ON INSERT TO order_notes DO INSTEAD INSERT INTO orders (id, note) VALUES (NEW.id, NEW."The Note");

-- Materialized views in a chain, with indexes, one never filled, a view between two of them, and one on the late view.
CREATE MATERIALIZED VIEW reports.daily WITH (fillfactor = 60) AS
    SELECT at::date AS day, count(*) AS n, sum(qty) AS qty FROM orders GROUP BY 1;
CREATE UNIQUE INDEX daily_day ON reports.daily (day);
CREATE INDEX "daily N" ON reports.daily (n DESC) WHERE n > 1;
COMMENT ON INDEX reports.daily_day IS 'ours';
COMMENT ON MATERIALIZED VIEW reports.daily IS 'ours';
CREATE STATISTICS reports.daily_stats ON n, qty FROM reports.daily;
ALTER MATERIALIZED VIEW reports.daily OWNER TO shop_owner;
GRANT SELECT ON reports.daily TO PUBLIC;
CREATE VIEW reports.between AS SELECT day, n FROM reports.daily WHERE n > 0;
CREATE MATERIALIZED VIEW reports.yearly AS SELECT date_trunc('year', day) AS year, sum(n) AS n FROM reports.between GROUP BY 1;
CREATE MATERIALIZED VIEW reports.never_filled AS SELECT * FROM reports.yearly WITH NO DATA;
CREATE MATERIALIZED VIEW reports.on_late AS SELECT count(*) FROM reports."both";
CREATE INDEX on_late_count ON reports.on_late (count);
CREATE STATISTICS public.daily_stats ON day, qty FROM reports.daily;
CREATE MATERIALIZED VIEW reports.late_too AS SELECT id, offer FROM reports."both";
CREATE STATISTICS sales.late_stats ON id, offer FROM reports.late_too;
