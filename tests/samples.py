"""Every built-in type of PostgreSQL that a column can have, with the values at its limits.

Values are in the type's text form. The name of a type is its pg_type.typname.
"""

from __future__ import annotations

SAMPLES: dict[str, tuple[str, ...]] = {
    # the limits of numbers; -0 and the smallest denormals are distinct values
    "bool": ("t", "f"),
    "int2": ("-32768", "0", "32767"),
    "int4": ("-2147483648", "0", "2147483647"),
    "int8": ("-9223372036854775808", "0", "9223372036854775807"),
    "float4": ("0", "-0", "1e-45", "-1e-45", "3.4028235e38", "0.1", "NaN", "Infinity", "-Infinity"),
    "float8": ("0", "-0", "4.9e-324", "-4.9e-324", "1.7976931348623157e308", "0.1", "NaN", "Infinity", "-Infinity"),
    "numeric": (
        *("0", "0.000", "1.0", "1.00", "-1.10", "100", "NaN", "Infinity", "-Infinity", "1e131071"),
        *("123456789" * 111 + "1", "-0." + "0" * 999 + "1", "9" * 500 + "." + "9" * 500, "0." + "0" * 16382 + "1"),
    ),
    "money": ("-92233720368547758.08", "0", "92233720368547758.07"),
    # text: the characters that COPY's text format must escape, every plane of Unicode, and the empty string
    "text": (
        "",
        " ",
        "\\.",
        "\\N",
        "NULL",
        "a\tb\nc\rd\\e\bf\fg\vh",
        '{"a,b"}',
        "é ß 日本 😀 e\u0301 \u202e \uffff",
        "\x01\x7f",
    ),
    "varchar": ("", "trailing ", "\\N", "😀"),
    "bpchar": ("", "trailing   ", "\\"),
    "name": ("", 'MiXed "quoted" name', "x" * 63),
    "char": ("", "a", "\\", "\n", "\\377"),
    "refcursor": ("", "a cursor"),
    "bytea": ("\\x", "\\x00", "\\x" + bytes(range(256)).hex(), "\\x" + "00" * 5000, "\\x" + "5c2e0a" * 3),
    "bit": ("0", "1", "10110" * 20),
    "varbit": ("", "0", "1" * 9, "10110" * 20),
    "json": ("null", ' {"b" : 1,\n "a": [ 1.0, 1.00 ], "a": 2 } ', '"\\u0041 \\\\ é"', "[]"),
    "jsonb": ("null", '{"b": [1.0, 1.00], "": {"deep": [[[]]]}}', '"\\u0041 \\\\ é"', "1e1000", "[]", "{}"),
    "jsonpath": ("$", 'strict $."a b"[*] ? (@.x > 1.50)', '$.a like_regex "^\\\\d" flag "i"'),
    "xml": (
        "",
        "<a b='c'> <!-- d --> <![CDATA[<e>]]>é</a>",
        "text <b/> text",
        "<?xml version='1.1' standalone='yes'?><a/>",
    ),
    # dates: the first and the last possible
    "date": ("4713-01-01 BC", "0001-12-31 BC", "2000-02-29", "5874897-12-31", "infinity", "-infinity"),
    "time": ("00:00:00", "23:59:59.999999", "24:00:00"),
    "timetz": ("00:00:00+15:59:59", "23:59:59.999999-15:59:59", "24:00:00+05:45"),
    "timestamp": (
        "4713-01-01 00:00:00 BC",
        "1999-12-31 23:59:60",
        "294276-12-31 23:59:59.999999",
        "infinity",
        "-infinity",
    ),
    "timestamptz": ("4713-01-02 00:00:00+00 BC", "2024-03-31 02:30:00.000001+05:45", "infinity", "-infinity"),
    "interval": (
        *("0", "1 month", "30 days", "720 hours", "-1 mons +29 days -23:59:59.999999", "1 day -00:00:00.000001"),
        *("178000000 years", "-178000000 years", "2147483647 days", "infinity", "-infinity"),
    ),
    # bytes, network addresses, identifiers
    "uuid": ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    "inet": ("0.0.0.0", "192.168.1.5/24", "255.255.255.255/0", "::", "::ffff:1.2.3.4/128", "fe80::1/10"),
    "cidr": ("0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/32"),
    "macaddr": ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"),
    "macaddr8": ("00:00:00:00:00:00:00:00", "08:00:2b:ff:fe:01:02:03"),
    "oid": ("0", "4294967295"),
    "xid": ("0", "4294967295"),
    "cid": ("0", "4294967295"),
    "xid8": ("0", "18446744073709551615"),
    "tid": ("(0,0)", "(4294967295,65535)"),
    "pg_lsn": ("0/0", "FFFFFFFF/FFFFFFFF"),
    "pg_snapshot": ("1:1:", "10:20:10,14,15"),
    "txid_snapshot": ("1:1:", "10:20:10,14,15"),
    "int2vector": ("", "1 -2 3"),
    "oidvector": ("", "1 4294967295"),
    # geometry, where numbers may be NaN and infinite too
    "point": ("(0,-0)", "(NaN,Infinity)", "(1e-300,-Infinity)"),
    "line": ("{1,-1,0}", "{0.1,0,4.9e-324}"),
    "lseg": ("[(0,0),(1,1)]", "[(-0,NaN),(Infinity,1e300)]"),
    "box": ("(1,1),(0,0)", "(Infinity,1),(0,-Infinity)"),
    "path": ("((0,0))", "[(0,0),(1,1),(2,0)]", "((0,0),(1,1),(2,0))"),
    "polygon": ("((0,0))", "((0,0),(1,1),(2,0))"),
    "circle": ("<(0,0),0>", "<(1,-0),Infinity>"),
    # full text search
    "tsvector": ("", "a", "'it''s':1A,2B,3C,4 'a b':16383 'é'", "'\\\\x'"),
    "tsquery": ("", "a & !b | c <2> d", "'it''s':*A & 'a b':BC"),
    # ranges
    "int4range": ("empty", "(,)", "[1,5)", "[-2147483648,2147483647)"),
    "int8range": ("empty", "(,)", "[1,)", "(,-9223372036854775808]"),
    "numrange": ("empty", "(,)", "[1.0,1.00]", "(-Infinity,NaN]"),
    "daterange": ("empty", "(,)", "[-infinity,infinity)", "[2000-01-01,)"),
    "tsrange": ("empty", "(,)", "[-infinity,infinity]", "(2000-01-01,2000-01-02)"),
    "tstzrange": ("empty", "(,)", "[-infinity,infinity]", "(2000-01-01 00:00+05:45,)"),
    "int4multirange": ("{}", "{(,)}", "{[1,2),[5,9)}"),
    "int8multirange": ("{}", "{(,)}", "{(,2),[5,)}"),
    "nummultirange": ("{}", "{(,)}", "{[1.0,1.00],(2,3)}"),
    "datemultirange": ("{}", "{(,)}", "{(,2000-01-01),[2001-01-01,infinity)}"),
    "tsmultirange": ("{}", "{(,)}", "{[-infinity,2000-01-01],(2001-01-01,infinity]}"),
    "tstzmultirange": ("{}", "{(,)}", "{[-infinity,2000-01-01 00:00+00],(2001-01-01 00:00+00,infinity]}"),
}

# Names of other objects. Their oids differ from server to server, so the product refuses columns of these types.
NAMING: dict[str, tuple[str, ...]] = {
    "aclitem": ("=r/postgres", "postgres=arwdDxt*/postgres"),
    "regclass": ("-", "pg_catalog.pg_class", "public.anchor"),
    "regcollation": ("-", 'pg_catalog."C"', "public.order_of_words"),
    "regconfig": ("pg_catalog.simple", "pg_catalog.english"),
    "regdictionary": ("pg_catalog.simple", "pg_catalog.english_stem"),
    "regnamespace": ("-", "pg_catalog", "public"),
    "regoper": ("0", "pg_catalog.|/"),
    "regoperator": ("0", "pg_catalog.+(integer,integer)"),
    "regproc": ("-", "pg_catalog.now", "public.twice"),
    "regprocedure": ("-", "pg_catalog.abs(integer)", "public.twice(integer)"),
    "regrole": ("-", "postgres", "pg_monitor"),
    "regtype": ("-", "integer[]", "character varying", "public.anchor"),
}

# The objects that the names above refer to and that the system catalogs do not have.
ANCHORS = """
    CREATE TABLE public.anchor (); CREATE FUNCTION public.twice(i int) RETURNS int LANGUAGE sql AS 'SELECT i * 2';
    CREATE COLLATION public.order_of_words (locale = 'C');
"""

UNSTORABLE = {
    "gtsvector": "the inner form of a GiST index; takes no input",
    "pg_brin_bloom_summary": "the inner form of a BRIN index; takes no input",
    "pg_brin_minmax_multi_summary": "the inner form of a BRIN index; takes no input",
    "pg_dependencies": "the planner's statistics; takes no input",
    "pg_mcv_list": "the planner's statistics; takes no input",
    "pg_ndistinct": "the planner's statistics; takes no input",
    "pg_node_tree": "a parsed expression; takes no input",
}
"""Types in pg_type that no column of a user's table can have, with the reason."""

SINCE_14 = frozenset(
    name for name in {**SAMPLES, **UNSTORABLE} if name.endswith("multirange") or name.startswith("pg_brin_")
)
"""The types that PostgreSQL 13 does not have."""

_LATER = {
    "char": (16, ("\\377",)),
    "numeric": (14, ("Infinity", "-Infinity")),
    "numrange": (14, ("(-Infinity,NaN]",)),
    "interval": (17, ("infinity", "-infinity")),
}


def samples_of(version: int, *, has_xml: bool) -> dict[str, tuple[str, ...]]:
    """The samples that a server of this major version accepts."""
    samples = {
        name: values
        for name, values in SAMPLES.items()
        if (name != "xml" or has_xml) and (name not in SINCE_14 or version >= 14)
    }
    for name, (since, values) in _LATER.items():
        if version < since:
            samples[name] = tuple(value for value in samples[name] if value not in values)
    return samples
