"""The table of bad input.

Its texts may contain <source> and <target> (host:port/name), <tmp> (a folder) and <path> (in the Parameter Store); …
matches any text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SOURCE, TARGET = "ETL_OPERATIONAL_URL", "ETL_REPORTING_URL"
PW = "s3cr3t%2Fc4n4ry"
STORE = "<path>"
USAGE = ("Usage: …", "Try 'etl …", "")


@dataclass(frozen=True, slots=True)
class Case:
    """One piece of bad input, and the expected lines on standard error (or their beginnings, up to …)."""

    name: str
    says: tuple[str, ...] | str
    environment: Mapping[str, str | None] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("run",)
    options: str | bytes | None = None
    store: Mapping[str, str] | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The expected lines on standard error."""
        return (self.says,) if isinstance(self.says, str) else self.says


def _tables(name: str, text: str, says: str | tuple[str, ...]) -> Case:
    return Case(name, says, {"TABLES": text})


def _source(name: str, url: str, says: str) -> Case:
    return Case(name, f"{SOURCE} {says}", {SOURCE: url})


NO_RUN = "ETL_RUN_ID is not set; set it (publish and abort take it on the command line, too)"
_URL = "is not a libpq URL; write postgresql://USER:PASSWORD@HOST:PORT/DBNAME"
_AT = "holds an @ that is not percent-encoded, or a / or ? before it; percent-encode special characters…"

TABLES = [
    Case(
        "no TABLES",
        "TABLES is not set; set it, or tables in nightly-etl.toml, or the parameter tables under ETL_PARAMETER_PATH",
        {"TABLES": None},
    ),
    _tables("empty list", "", "TABLES names no table; write names such as orders,sales.invoice or a pattern such as *"),
    _tables("commas only", ", ,", "TABLES names no table; …"),
    _tables("only exclusions", "!orders,!audit.*", "TABLES names no table; …"),
    _tables("all excluded", "orders,!*", "TABLES excludes every table that it names; remove a ! element"),
    _tables("unknown", "ordrs", "TABLES: public.ordrs is not in the source; did you mean public.orders?"),
    _tables("other case", "ORDERS", "TABLES: public.ORDERS is not in the source; …"),
    _tables("other schema", "invoice", "TABLES: public.invoice is not in the source; did you mean sales.invoice?"),
    _tables("unknown exclusion", "*,!ordrs", "TABLES: public.ordrs is not in the source; did you mean public.orders?"),
    _tables(
        "two unknown",
        "ordrs,zzz.qqq",
        (
            "TABLES: public.ordrs is not in the source; did you mean public.orders?",
            "TABLES: zzz.qqq is not in the source; its role sees no schema zzz, but public, sales; correct the name, …",
        ),
    ),
    _tables("unknown glob", "zzz*", "TABLES: 'zzz*' matches no table of the source that its role may see; mend it…"),
    _tables("unpaired quote", 'orders,"x', 'TABLES has an unpaired double quote in \'orders,"x\'; write "" for a …'),
    _tables("quoted in part", 'or"d"ers', "TABLES has 'or\"d\"ers', quoted in part; quote the whole name, and …"),
    _tables("three parts", "shop.sales.invoice", "TABLES has 'shop.sales.invoice', of 3 parts; write schema.table, …"),
    _tables("empty part", "sales.", "TABLES has 'sales.', in which a name is empty; write table or schema.table"),
    _tables("64 bytes", "x" * 64, f"TABLES has '{'x' * 64}', a name of over 63 bytes, which no table can …"),
    _tables("unclosed JSON", '["orders"', "TABLES starts as a JSON array but is none: it breaks off, …"),
    _tables("JSON of numbers", '["orders", 7]', "TABLES is a JSON array with something that is no string; write …"),
    _tables("JSON of arrays", '[["orders"]]', "TABLES is a JSON array with something that is no string; write …"),
    _tables("empty JSON", "[]", "TABLES names no table; …"),
    _tables("not UTF-8", "orders\udcff", "TABLES has 'orders\\udcff', with a zero byte or one that is not UTF-8, …"),
    _tables("a semicolon", "orders;drop table x", "TABLES: public.orders;drop table x is not in the source; …"),
    Case("verify: unknown", "TABLES: public.x is not in the source; …", {"TABLES": "x"}, ("verify",)),
    Case("check: unknown", "TABLES: public.x is not in the source; …", {"TABLES": "x"}, ("check",)),
]

SETTINGS = [
    *(
        Case(f"{variable}={text}", f"{variable} is {text!r}; {remedy}", {variable: text})
        for variable, text, remedy in [
            ("ETL_KEEP_STOPPED", "24 h", "write a whole number of seconds, such as 600"),
            ("ETL_JOBS", "0", "write a whole number from 1 to 64"),
            ("ETL_JOBS", "65", "write a whole number from 1 to 64"),
            ("ETL_JOBS", "four", "write a whole number from 1 to 64"),
            ("ETL_JOBS", "2.5", "write a whole number from 1 to 64"),
            ("ETL_JOBS", "-1", "write a whole number from 1 to 64"),
            ("ETL_JOBS", "٤", "write a whole number from 1 to 64"),
            ("ETL_INDEX_MEMORY", "plenty", "write a size such as 512MB or 4GB"),
            ("ETL_INDEX_MEMORY", "0GB", "write a size such as 512MB or 4GB"),
            ("ETL_PUBLISH", "always", "write one of run, defer"),
            ("ETL_PUBLISH", "Run", "write one of run, defer; did you mean run?"),
            ("ETL_SNAPSHOT", "none", "write one of own, run"),
            ("ETL_SHARD", "-1", "write a whole number from 0 to 9999"),
            ("ETL_SHARD", "first", "write a whole number from 0 to 9999"),
            ("ETL_SNAPSHOT_MAX_AGE", "0", "write a whole number of seconds, 1 or more"),
            ("ETL_SNAPSHOT_MAX_AGE", "6h", "write a whole number of seconds, such as 600"),
            ("ETL_VERIFY", "md5", "write one of rows, checksum, none"),
            (
                "ETL_METRICS_NAMESPACE",
                "AWS/Etl",
                "write 1 to 255 letters, digits and . _ / # : -, not beginning with AWS/",
            ),
            ("ETL_OPERATIONAL_AUTH", "token", "write one of password, iam"),
            ("ETL_LOG_FORMAT", "xml", "write one of json, console"),
            ("ETL_LOG_LEVEL", "loud", "write one of debug, info, warning, error"),
            ("ETL_RUN_ID", "to night", "write 1 to 100 letters, digits and . _ : + = @ -"),
            ("ETL_RUN_ID", "a/b", "write 1 to 100 letters, digits and . _ : + = @ -"),
            ("ETL_RUN_ID", "x" * 101, "write 1 to 100 letters, digits and . _ : + = @ -"),
        ]
    ),
    Case(
        "a dimension that is no constant",
        "ETL_METRICS_DIMENSIONS has 'run_id'; write table, job, and name=value for what is the same on every line",
        {"ETL_METRICS_DIMENSIONS": "table,run_id"},
    ),
    Case(
        "tokens in the clear",
        f"{TARGET} has no sslmode of require, verify-ca, verify-full, which auth=iam needs; add it",
        {"ETL_REPORTING_AUTH": "iam", TARGET: "postgresql://etl@two/reports?sslmode=prefer"},
    ),
    Case(
        "tokens for nobody",
        f"{TARGET} names no user, for which auth=iam signs its tokens; add it",
        {"ETL_REPORTING_AUTH": "iam", TARGET: "postgresql://two/reports?sslmode=require"},
    ),
    Case(
        "tokens for several hosts",
        f"{TARGET} names several hosts, and auth=iam signs a token for one; name one",
        {"ETL_REPORTING_AUTH": "iam", TARGET: "postgresql://etl@two:5432,three:5432/reports?sslmode=require"},
    ),
    *(
        Case(f"{name} in {command}", f"{name} is no setting; did you mean {meant}?", {name: "x"}, (command,))
        for name, meant, command in [
            ("ETL_OPTION_FILE", "ETL_OPTIONS_FILE", "run"),
            ("TABLE", "TABLES", "check"),
            ("ETL_REPORTING_ULR", "ETL_REPORTING_URL", "history"),
        ]
    ),
    Case(
        "all at once",
        (
            f"{SOURCE} is not set; set it, or operational.url in nightly-etl.toml, or the parameter"
            " operational/url under ETL_PARAMETER_PATH",
            f"{TARGET} is not set; set it, or reporting.url in nightly-etl.toml, or the parameter"
            " reporting/url under ETL_PARAMETER_PATH",
            "TABLES names no table; …",
            "ETL_JOBS is 'x'; write a whole number from 1 to 64",
            "ETL_PUBLISH is 'x'; write one of run, defer",
        ),
        {SOURCE: None, TARGET: None, "TABLES": "!x", "ETL_JOBS": "x", "ETL_PUBLISH": "x"},
    ),
]

URLS = [
    _source("not a URL", f"{PW}", _URL),
    _source("key=value", f"host=127.0.0.1 dbname=shop password={PW}", _URL),
    _source("SQLAlchemy's", f"postgresql+psycopg://etl:{PW}@<source>", _URL),
    _source("MySQL's", f"mysql://etl:{PW}@<source>", _URL),
    _source("JDBC's", f"jdbc:postgresql://<source>?password={PW}", _URL),
    _source("no database", f"postgresql://etl:{PW}@127.0.0.1", "names no database; write postgresql://USER:…"),
    _source("bad port", f"postgresql://etl:{PW}@127.0.0.1:x/shop", "has a port that is no number from 1 to 65535; …"),
    _source("port 0", f"postgresql://etl:{PW}@127.0.0.1:0/shop", "has a port that is no number from 1 to 65535; …"),
    _source("sslmode", f"postgresql://etl:{PW}@<source>?sslmode=on", "has an unknown sslmode; write one of disable, …"),
    _source("timeout", f"postgresql://etl:{PW}@<source>?connect_timeout=x", "has a connect_timeout that is no number…"),
    _source("unknown option", f"postgresql://etl:{PW}@<source>?pool=5", "has an option that libpq does not know, …"),
    _source(
        "channel binding",
        f"postgresql://etl:{PW}@<source>?channel_binding=require",
        "asks for channel_binding=require, which is not supported; leave it out",
    ),
    _source(
        "require_auth",
        f"postgresql://etl:{PW}@<source>?require_auth=scram-sha-256",
        "asks for require_auth, which is not supported; leave it out",
    ),
    _source("unescaped @", "postgresql://etl:s3c@s3cr3t@<source>", _AT),
    _source("unescaped /", "postgresql://etl:123/s3cr3t@<source>", _AT),
    _source("unescaped ?", "postgresql://etl:123?sslmode=s3cr3t@<source>", _AT),
    _source("unescaped %", "postgresql://etl:s3cr3t%zz@<source>", "cannot be read as a libpq URL; percent-encode …"),
    Case(
        "parts without a database",
        "ETL_OPERATIONAL_DBNAME is not set; set it, or operational.dbname in nightly-etl.toml, or the parameter"
        " operational/dbname under ETL_PARAMETER_PATH",
        {SOURCE: None, "ETL_OPERATIONAL_HOST": "127.0.0.1"},
    ),
    Case(
        "the part at fault",
        "ETL_REPORTING_PORT has a port that is no number from 1 to 65535; …",
        {"ETL_REPORTING_PORT": "5432x"},
    ),
    Case(
        "unknown sslmode as a part",
        "ETL_REPORTING_SSLMODE has an unknown sslmode; write one of disable, allow, prefer, require, verify-ca, …",
        {"ETL_REPORTING_SSLMODE": "yes"},
    ),
    *(
        _source(
            f"no {file}",
            f"postgresql://postgres:{PW}@<source>?sslmode=require&{file}=<tmp>/none.pem",
            f"names a file in {file} that cannot be read: No such file or directory; check …",
        )
        for file in ("sslrootcert", "sslcert", "sslkey")
    ),
    *(
        Case(f"{name} TLS version", f"…TLSv9…; check {variable}", {variable: f"{url}?ssl_min_protocol_version=TLSv9"})
        for name, variable, url in (
            ("source's", SOURCE, "postgresql://postgres@<source>"),
            ("target's", TARGET, "postgresql://postgres@<target>"),
        )
    ),
]

NO_TABLES_OF_OURS = """
    [custmers.mask]
    id = "null"
    [invoice]
    [orders]
    ["audit.*"]
    [default]
    ["sales.*"]
"""

OPTIONS = [
    Case(
        "not TOML",
        "ETL_OPTIONS_FILE (<tmp>/options.toml) line 1: [orders has no closing bracket; write [orders]",
        options="[orders\nwhere =",
    ),
    Case("key outside", "ETL_OPTIONS_FILE (<tmp>/options.toml) 'where' stands outside a section; …", options="where=1"),
    Case(
        "unknown key",
        "ETL_OPTIONS_FILE (<tmp>/options.toml) [orders] wher is no option; did you mean where?",
        options="[orders]\nwher=''",
    ),
    Case(
        "split",
        'ETL_OPTIONS_FILE (<tmp>/options.toml) [orders] split is "5 parts"; write false, a number from 1 …',
        options="[orders]\nsplit='5 parts'",
    ),
    Case(
        "check: percentage",
        'ETL_OPTIONS_FILE (<tmp>/options.toml) [defaults] shrink_at_most is "half"; write a percentage from "0%" to…',
        arguments=("check",),
        options="[defaults]\nshrink_at_most='half'",
    ),
    Case(
        "negative rows",
        "ETL_OPTIONS_FILE (<tmp>/options.toml) [orders] rows_min is -1; write a whole number of rows, 0 or more, …",
        options="[orders]\nrows_min=-1",
    ),
    Case(
        "wrong type",
        "ETL_OPTIONS_FILE (<tmp>/options.toml) [orders] where is 1, and takes a condition …",
        options="[orders]\nwhere=1",
    ),
    Case(
        "section in a section",
        'ETL_OPTIONS_FILE (<tmp>/options.toml) [sales.invoice] is TOML for a section within a section; write ["sales.…',
        options="[sales.invoice]\nwhere='true'",
    ),
    Case(
        "no such name",
        "ETL_OPTIONS_FILE (<tmp>/options.toml) [a.b.c] is no table's name or pattern; …",
        options='["a.b.c"]',
    ),
    *(
        Case(
            f"{arguments[0]}: sections for no table",
            (
                "TABLES: public.ordrs is not in the source; did you mean public.orders?",
                "options: [custmers]: public.custmers is not in the source; did you mean public.customers?",
                "options: [invoice]: public.invoice is not in the source; did you mean sales.invoice?",
                "options: [audit.*]: 'audit.*' matches no table of the source that its role may see; mend it…",
                "options: [default] is for no table of the source; did you mean [defaults]?",
            ),
            {"TABLES": "ordrs", "ETL_RUN_ID": "tonight"},
            arguments,
            options=NO_TABLES_OF_OURS,
        )
        for arguments in (("check",), ("plan", "--shards", "2"), ("run",), ("snapshot",), ("verify",))
    ),
    Case(
        "a shard's sections for no table",
        "options: [custmers]: public.custmers is not in the source; did you mean public.customers?",
        {"ETL_SNAPSHOT": "run", "ETL_RUN_ID": "tonight", "ETL_SHARD": "1"},
        options="[custmers.mask]\nid='null'",
    ),
    Case(
        "unknown column",
        "options of public.orders: exclude names 'nte', which is no column of it; did you mean note?",
        options="[orders]\nexclude=['nte']",
    ),
    Case(
        "no column",
        "options of public.orders: no column is left of it; name one in columns, or take one out of exclude",
        options="[orders]\non_new_column='ignore'",
    ),
    Case(
        "not UTF-8 options",
        "ETL_OPTIONS_FILE names '<tmp>/options.toml', which cannot be read: it is not UTF-8 text; save it as UTF-8",
        options=b"\xff",
    ),
    Case(
        "no such file",
        "ETL_OPTIONS_FILE names '<tmp>/no.toml', which cannot be read: No such file or directory; check …",
        {"ETL_OPTIONS_FILE": "<tmp>/no.toml"},
    ),
    Case(
        "a folder",
        "ETL_OPTIONS_FILE names '<tmp>', which cannot be read: Is a directory; check …",
        {"ETL_OPTIONS_FILE": "<tmp>"},
    ),
]

PARAMETERS = [
    *(
        Case(f"path {path}", f"ETL_PARAMETER_PATH is {path!r}; write a path such as …", {"ETL_PARAMETER_PATH": path})
        for path in ("prod", "/", "/nightly etl", "arn:aws:ssm:eu-central-1:1:parameter/x")
    ),
    Case(
        "nothing there",
        "ETL_PARAMETER_PATH /none: no parameters there; check the path, the account and AWS_REGION",
        {"ETL_PARAMETER_PATH": "/none"},
    ),
    Case(
        "no credentials",
        "ETL_PARAMETER_PATH /none: no AWS credentials; give the task a role, or set AWS_ACCESS_KEY_ID and AWS_…",
        {"ETL_PARAMETER_PATH": "/none", "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
    ),
    Case(
        "half the credentials",
        "ETL_PARAMETER_PATH /none: no AWS credentials; …",
        {"ETL_PARAMETER_PATH": "/none", "AWS_SECRET_ACCESS_KEY": None},
    ),
    Case(
        "no region",
        "ETL_PARAMETER_PATH /none: no AWS region; set AWS_REGION",
        {"ETL_PARAMETER_PATH": "/none", "AWS_REGION": None},
    ),
    Case(
        "not a region",
        "ETL_PARAMETER_PATH /none: …; check the AWS_… variables",
        {"ETL_PARAMETER_PATH": "/none", "AWS_REGION": "here & there"},
    ),
    Case(
        "not an endpoint",
        "ETL_PARAMETER_PATH /none: …; check the AWS_… variables",
        {"ETL_PARAMETER_PATH": "/none", "AWS_ENDPOINT_URL": "nowhere"},
    ),
    Case(
        "no such profile",
        "ETL_PARAMETER_PATH /none: The config profile (nobody) could not be found; check the AWS_… variables",
        {"ETL_PARAMETER_PATH": "/none", "AWS_PROFILE": "nobody"},
    ),
    Case("stored jobs", f"{STORE}/jobs is 'many'; write a whole number from 1 to 64", store={"jobs": "many"}),
    Case("stored tables", f"{STORE}/tables has 'a.b.c', of 3 parts; …", {"TABLES": None}, store={"tables": "a.b.c"}),
    Case("stored options", f"{STORE}/options line 1: …", store={"options": "[["}),
    Case(
        "stored URL",
        f"{STORE}/reporting/url {_AT}",
        {TARGET: None},
        store={"reporting/url": "postgresql://etl:s3c@s3cr3t@h/db"},
    ),
    Case(
        "stored part",
        f"{STORE}/reporting/port has a port that is no number from 1 to 65535; …",
        {TARGET: None},
        store={"reporting/dbname": "x", "reporting/port": "x", "reporting/password": "s3cr3t"},
    ),
]

COMMANDS = [
    Case("no command", "Usage: …", arguments=()),
    Case("unknown command", (*USAGE, "Error: No such command 'rum'.…"), arguments=("rum",)),
    Case("unknown flag", (*USAGE, "Error: No such option '--dry'.…"), arguments=("run", "--dry")),
    Case(
        "extra argument", (*USAGE, "Error: Got unexpected extra argument (orders)"), arguments=("report", "a", "orders")
    ),
    Case(
        "limit",
        (*USAGE, "Error: Invalid value for '--limit': 0 is not in the …"),
        arguments=("history", "--limit", "0"),
    ),
    Case("hold what?", NO_RUN, arguments=("snapshot",)),
    Case(
        "which snapshot?",
        f"ETL_SNAPSHOT is run, the snapshot that another container holds: {NO_RUN}",
        {"ETL_SNAPSHOT": "run"},
    ),
    Case("publish what?", NO_RUN, arguments=("publish",)),
    Case("abort what?", NO_RUN, arguments=("abort",)),
    Case("abort this?", "RUN_ID on the command line is 'a b'; write 1 to 100 letters, …", arguments=("abort", "a b")),
    Case(
        "unknown run", "run x is not in the ledger; `etl history` lists the runs there are", arguments=("history", "x")
    ),
]
