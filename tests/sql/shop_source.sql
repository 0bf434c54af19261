-- The operational side of tests/integration/test_outlives.py: one of each thing that is carried to the target.
CREATE SCHEMA sales;
CREATE TYPE public.mood AS ENUM ('sad', 'fine');
-- made while "public" is in the search path: the default's text names its type without a schema
CREATE DOMAIN sales.feeling AS public.mood DEFAULT 'fine'::mood CONSTRAINT cheerful CHECK (VALUE <> 'sad');
CREATE DOMAIN sales.price AS numeric(10, 2) NOT NULL CHECK (VALUE >= 0);
CREATE TYPE sales.offer AS (price sales.price, feeling sales.feeling, note text COLLATE "C");
CREATE TYPE sales.feelings AS RANGE (subtype = public.mood, multirange_type_name = sales.many_feelings);

CREATE TABLE public.customers (
    id int PRIMARY KEY, name text COLLATE "C" NOT NULL, email text, tags text[], doc jsonb,
    CONSTRAINT customers_email_key UNIQUE NULLS NOT DISTINCT (email) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT named CHECK (name <> '') NOT VALID
) WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
COMMENT ON TABLE public.customers IS 'from the source';
COMMENT ON COLUMN public.customers.email IS 'it''s private';
COMMENT ON CONSTRAINT named ON public.customers IS 'not yet valid';
ALTER TABLE public.customers ALTER name SET STATISTICS 500, ALTER doc SET STORAGE EXTERNAL,
    ALTER doc SET COMPRESSION pglz;
CREATE INDEX customers_lower ON public.customers (lower(name) text_pattern_ops DESC NULLS LAST) WHERE email IS NOT NULL;
CREATE INDEX customers_include ON public.customers (name COLLATE "C") INCLUDE (email, id) WITH (fillfactor = 50);
CREATE UNIQUE INDEX customers_name_or_email ON public.customers (name, email) NULLS NOT DISTINCT;
CREATE INDEX customers_tags ON public.customers USING gin (tags);
CREATE INDEX customers_doc ON public.customers USING gin (doc jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX customers_hash ON public.customers USING hash (email);
CREATE INDEX customers_brin ON public.customers USING brin (id int4_minmax_multi_ops) WITH (pages_per_range = 4);
COMMENT ON INDEX public.customers_brin IS 'small';
CREATE STATISTICS public.customers_stats (ndistinct, dependencies) ON name, email FROM public.customers;
CREATE STATISTICS public.customers_expression ON lower(name), id FROM public.customers;
COMMENT ON STATISTICS public.customers_stats IS 'of both';
INSERT INTO public.customers
SELECT i, 'name ' || i, nullif(i, 7) || '@example.com', ARRAY[i::text], '{"a": 1}' FROM generate_series(1, 200) i;

CREATE TABLE public.orders (
    id int PRIMARY KEY, customer int NOT NULL REFERENCES public.customers, qty int NOT NULL, note text,
    feels public.mood, booked tstzrange, at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT never_twice EXCLUDE USING gist (booked WITH &&) WHERE (qty > 0)
);
CREATE INDEX orders_spgist ON public.orders USING spgist (note);
INSERT INTO public.orders
SELECT i, i, i % 9, 'note ' || i, 'fine', tstzrange(timestamptz '2024-01-01Z' + i * interval '1 h',
       timestamptz '2024-01-01Z' + (i + 1) * interval '1 h'), '2024-01-01Z' FROM generate_series(1, 200) i;

-- the same name in another schema
CREATE TABLE sales.orders (id int PRIMARY KEY, offer sales.offer, range sales.feelings, feels sales.feeling);
INSERT INTO sales.orders SELECT i, format('(%s,fine,x)', i)::sales.offer, '[sad,fine]', 'fine' FROM generate_series(1, 20) i;
