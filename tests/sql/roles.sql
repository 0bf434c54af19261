-- Roles belong to the server, which several tests share.
DO $$
DECLARE role text;
BEGIN
    FOREACH role IN ARRAY '{shop_owner,shop_bi,"shop Z",shop_a}'::text[] LOOP
        IF to_regrole(quote_ident(role)) IS NULL THEN EXECUTE format('CREATE ROLE %I', role); END IF;
    END LOOP;
END $$;
