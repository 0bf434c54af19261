"""moto's server with a DynamoDB that keeps its promises among threads: ``python -m tests.moto_server -p PORT``.

moto copies whole tables for each transaction, and puts the copy back if it fails, without what others have written
meanwhile; and two threads may both find that a condition holds. Here requests go one after the other, and a transaction
that fails puts back its own items alone. It does not look whether a transaction uses all names and values that it is
given, either, which DynamoDB refuses. The version of moto is pinned, because these are private parts.
"""

from __future__ import annotations

import copy
import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from moto.dynamodb import models
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.server import main

_LOCK = threading.RLock()


class _Copies:
    """``copy`` for moto's models; whole tables are not copied."""

    copy = staticmethod(copy.copy)

    @staticmethod
    def deepcopy(thing: Any) -> Any:
        """A deep copy of anything but a table."""
        return thing if isinstance(thing, Table) else copy.deepcopy(thing)


def keep_promises() -> None:
    """Patches moto in this process, once."""
    private: Any = models
    if private.copy is not copy:
        return
    private.copy = _Copies
    for name in ("get_item", "put_item", "update_item", "delete_item", "query", "scan"):
        setattr(DynamoDBBackend, name, _one_by_one(getattr(DynamoDBBackend, name)))
    private.DynamoDBBackend.transact_write_items = _undone_if_it_fails(DynamoDBBackend.transact_write_items)


def _one_by_one(method: Callable[..., Any]) -> Callable[..., Any]:
    def locked(*args: Any, **given: Any) -> Any:
        with _LOCK:
            return method(*args, **given)

    return locked


def _undone_if_it_fails(method: Callable[..., Any]) -> Callable[..., Any]:
    def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        for each in transact_items:
            _refuse_unused(next(iter(each.values())))
        with _LOCK:
            before = [_item(self, next(iter(each.values()))) for each in transact_items]
            try:
                method(self, transact_items)
            except Exception:
                for partition, sort, item in before:
                    if item is None:
                        partition.pop(sort, None)
                    else:
                        partition[sort] = item
                raise

    return transact_write_items


def _refuse_unused(operation: Mapping[str, Any]) -> None:
    expressions = operation.get("UpdateExpression", ""), operation.get("ConditionExpression", "")
    used = set(re.findall(r"[#:]\w+", " ".join(expressions)))
    for kind in ("Names", "Values"):
        if unused := sorted(operation.get(f"ExpressionAttribute{kind}", {}).keys() - used):
            raise MockValidationException(
                f"Value provided in ExpressionAttribute{kind} unused in expressions: keys: {unused}"
            )


def _item(backend: DynamoDBBackend, operation: Mapping[str, Any]) -> tuple[dict[Any, Any], Any, Any]:
    """Where an item of a table with a sort key stands, and a copy of it; None if there is none."""
    table = backend.tables[operation["TableName"]]
    key = operation["Key"]
    partition, sort = (DynamoType(key[name]) for name in (table.hash_key_attr, table.range_key_attr))
    items = table.items[partition]
    return items, sort, copy.deepcopy(items.get(sort))


if __name__ == "__main__":
    keep_promises()
    main(sys.argv[1:])
