-- The database of a software company: people, companies, memberships of people in companies, and sign-ups for its
-- newsletter. The rows are the same every time: 5,000 people, 400 companies, 6,000 memberships, 500 sign-ups. All
-- changes are from before 2026.

CREATE TYPE plan AS ENUM ('free', 'starter', 'business', 'enterprise');

CREATE TABLE companies (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    industry    text NOT NULL,
    plan        plan NOT NULL,
    seats       integer NOT NULL,
    mrr         numeric(12, 2) NOT NULL,
    renews_on   date,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

CREATE TABLE people (
    id              bigint PRIMARY KEY,
    email           text NOT NULL UNIQUE,
    first_name      text NOT NULL,
    last_name       text NOT NULL,
    plan            plan NOT NULL,
    born_on         date,
    lifetime_value  numeric(12, 2) NOT NULL,
    logins          integer NOT NULL,
    newsletter      boolean NOT NULL,
    interests       text[] NOT NULL,
    preferences     jsonb NOT NULL,
    referral_code   uuid NOT NULL UNIQUE,
    last_login_at   timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);

CREATE TABLE memberships (
    person_id   bigint NOT NULL REFERENCES people,
    company_id  uuid NOT NULL REFERENCES companies,
    role        text NOT NULL,
    joined_on   date NOT NULL,
    left_at     timestamptz,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (person_id, company_id)
);

CREATE TABLE signups (
    line          integer PRIMARY KEY,
    card          text,
    first_name    text NOT NULL,
    email         text NOT NULL,
    remarks       text,
    signed_up_at  timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);

-- A number from 0 to `size` - 1 that depends on the row and on the purpose only.
CREATE FUNCTION pg_temp.pick(row_number bigint, purpose text, size integer) RETURNS integer
LANGUAGE sql IMMUTABLE
RETURN (('x' || substr(md5(purpose || row_number), 1, 7))::bit(28)::integer) % size;

CREATE FUNCTION pg_temp.choice(row_number bigint, purpose text, choices text[]) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN choices[1 + pg_temp.pick(row_number, purpose, cardinality(choices))];

INSERT INTO companies
SELECT
    md5('company' || n)::uuid,
    pg_temp.choice(n, 'name', '{Northwind,Bluebird,Cedar,Harbor,Lumen,Maple,Orbit,Quarry,Summit,Willow}')
        || ' ' || pg_temp.choice(n, 'trade', '{Analytics,Bakery,Clinic,Foods,Freight,Labs,Media,Outfitters,Robotics,Travel}')
        || ' ' || n,
    pg_temp.choice(n, 'industry', '{education,finance,health,logistics,media,retail,software}'),
    pg_temp.choice(n, 'plan', '{starter,starter,business,business,enterprise}')::plan,
    5 + pg_temp.pick(n, 'seats', 495),
    (49 + pg_temp.pick(n, 'mrr', 500000) / 100.0)::numeric(12, 2),
    CASE WHEN pg_temp.pick(n, 'renewal', 10) > 0 THEN date '2026-01-01' + pg_temp.pick(n, 'renews', 365) END,
    timestamptz '2023-01-01 00:00+00' + pg_temp.pick(n, 'created', 1000) * interval '1 day',
    timestamptz '2025-12-31 00:00+00' - pg_temp.pick(n, 'updated', 86400 * 30) * interval '1 second'
FROM generate_series(1, 400) AS n;

INSERT INTO people
SELECT
    1000 + n,
    lower(first_name || '.' || last_name) || n || '@' || pg_temp.choice(n, 'domain', '{example.com,example.net,example.org}'),
    first_name,
    last_name,
    pg_temp.choice(n, 'plan', '{free,free,free,starter,starter,business,enterprise}')::plan,
    CASE WHEN pg_temp.pick(n, 'born', 4) > 0 THEN date '1955-01-01' + pg_temp.pick(n, 'birthday', 18000) END,
    (pg_temp.pick(n, 'value', 900000) / 100.0)::numeric(12, 2),
    pg_temp.pick(n, 'logins', 1200),
    pg_temp.pick(n, 'newsletter', 3) > 0,
    (ARRAY['automation', 'billing', 'design', 'integrations', 'reporting', 'security'])[1:pg_temp.pick(n, 'interests', 5)],
    jsonb_build_object(
        'language', pg_temp.choice(n, 'language', '{de,en,en,en,es,fr,ja}'),
        'theme', pg_temp.choice(n, 'theme', '{dark,light}'),
        'notifications', jsonb_build_object('email', pg_temp.pick(n, 'by mail', 2) = 0, 'push', pg_temp.pick(n, 'push', 2) = 0)
    ),
    md5('referral' || n)::uuid,
    CASE WHEN pg_temp.pick(n, 'seen', 20) > 0
        THEN timestamptz '2025-12-31 00:00+00' - pg_temp.pick(n, 'login', 86400 * 90) * interval '1 second' END,
    timestamptz '2023-01-01 00:00+00' + pg_temp.pick(n, 'created', 1000) * interval '1 day',
    timestamptz '2025-12-31 00:00+00' - pg_temp.pick(n, 'updated', 86400 * 30) * interval '1 second'
FROM generate_series(1, 5000) AS n
CROSS JOIN LATERAL (
    SELECT
        pg_temp.choice(n, 'first', '{Ada,Amara,Ben,Chloe,Diego,Elif,Farid,Grace,Hana,Ivan,Jonas,Keiko,Liam,Mina,Noor,Omar,Priya,Rosa,Sven,Tara}') AS first_name,
        pg_temp.choice(n, 'last', '{Adler,Bauer,Castro,Demir,Eriksen,Fischer,Garcia,Haddad,Ito,Jensen,Kaya,Lopez,Moreau,Novak,Okafor,Patel,Rossi,Sato,Tanaka,Weber}') AS last_name
) AS names;

-- Each person works for one company, and every fifth person for a second one.
INSERT INTO memberships
SELECT
    1000 + n,
    md5('company' || 1 + (n * 7 + second * 3) % 400)::uuid,
    pg_temp.choice(n, 'role', '{admin,billing,member,member,member,owner}'),
    date '2023-01-01' + pg_temp.pick(n, 'joined', 1000),
    CASE WHEN pg_temp.pick(n, 'left' || second, 12) = 0
        THEN timestamptz '2025-12-01 00:00+00' + pg_temp.pick(n, 'leaving', 20) * interval '1 day' END,
    timestamptz '2025-12-31 00:00+00' - pg_temp.pick(n, 'membership', 86400 * 10) * interval '1 second'
FROM generate_series(1, 5000) AS n
CROSS JOIN generate_series(0, 1) AS second
WHERE second = 0 OR n % 5 = 0;

-- Typed from the cards that visitors of a fair filled in, with mistakes on four lines: an invalid address, a card
-- without a number, remarks over 1,000 bytes, and an address that belongs to another person in the workspace.
INSERT INTO signups
SELECT
    n,
    CASE WHEN n <> 211 THEN 'card-' || n END,
    first_name,
    CASE n
        WHEN 127 THEN lower(first_name) || '127@example,com'
        WHEN 402 THEN 'grace@example.org'
        ELSE lower(first_name) || n || '@example.com'
    END,
    CASE
        WHEN n = 305 THEN repeat('Asked about integrations, then told us a story. ', 25)
        WHEN pg_temp.pick(n, 'remarks', 5) = 0 THEN 'Asked about integrations.'
    END,
    timestamptz '2025-12-10 09:00+00' + n * interval '1 minute',
    timestamptz '2025-12-11 09:00+00' + n * interval '1 minute'
FROM generate_series(1, 500) AS n
CROSS JOIN LATERAL (
    SELECT pg_temp.choice(n, 'visitor', '{Ada,Ben,Chloe,Diego,Elif,Farid,Hana,Ivan,Jonas,Keiko,Mina,Omar,Priya,Rosa,Sven}') AS first_name
) AS names;

DROP FUNCTION pg_temp.choice, pg_temp.pick;

-- For the condition of every sync: the rows that changed since the last one.
CREATE INDEX ON companies (updated_at);
CREATE INDEX ON people (updated_at);
CREATE INDEX ON memberships (updated_at);
CREATE INDEX ON signups (updated_at);
ANALYZE;
