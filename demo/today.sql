-- A new day at the shop, in one transaction: every price goes up by 5 %, and one order in fifty is new.
BEGIN;
UPDATE products SET price = round(price * 1.05, 2);
WITH basket AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('orders', 'id')) AS id, o.customer_id, p.id AS product_id, p.price, now() AS at
      FROM orders AS o
      JOIN products AS p ON p.id = 1 + o.id % (SELECT count(*) FROM products)
     WHERE o.id % 50 = 0
), placed AS (
    INSERT INTO orders (id, customer_id, status, total, ordered_at)
    SELECT id, customer_id, 'paid', price, at FROM basket
), lines AS (
    INSERT INTO order_lines (order_id, line, product_id, quantity, price)
    SELECT id, 1, product_id, 1, price FROM basket
)
INSERT INTO payments (order_id, method, amount, paid_at)
SELECT id, 'card', price, at FROM basket;
COMMIT;
