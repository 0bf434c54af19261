"""Parameter Store, and tokens for RDS databases.

This is the only module that uses boto3. It is imported only if a setting asks for parameters or tokens.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import boto3
from botocore import exceptions as aws
from botocore.config import Config

from etl.model.errors import ConfigurationError, ConnectionFailed, EtlError, one_line

# A container that cannot reach the service reports it within half a minute; boto3's default is 60 s for each attempt.
# The standard mode retries throttled requests with jittered backoff.
_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})

_REMEDIES = {
    "AccessDeniedException": "allow ssm:GetParametersByPath on the path, or ssm:GetParameter on the parameter, and"
    " kms:Decrypt on its SecureStrings' key",
    "ParameterNotFound": "there is no such parameter; check its name, the account and AWS_REGION",
    "ExpiredTokenException": "the credentials have expired; renew them",
    "UnrecognizedClientException": "the credentials are not valid in this region; check them and AWS_REGION",
    "InvalidSignatureException": "the credentials are wrong; check the secret key",
    "InvalidKeyId": "the key that encrypted a SecureString is gone or disabled",
}


_TRANSIENT = {"ThrottlingException", "TooManyUpdates", "InternalServerError", "ServiceUnavailable"}
_UNREACHABLE = (aws.ConnectionError, aws.HTTPClientError, aws.CredentialRetrievalError)


def read_parameters(path: str, region: str | None = None) -> dict[str, str]:
    """Reads and decrypts all parameters under a path, over all pages of the answer.

    ``region`` overrides the region of the SDK's configuration. Returns values by name relative to the path. Raises
    ConfigurationError if the path has no parameters, or if credentials, region or rights are missing; ConnectionFailed
    if the service does not answer.
    """
    try:
        pages = boto3.client("ssm", region_name=region, config=_CONFIG).get_paginator("get_parameters_by_path")
        parameters = {
            parameter["Name"].removeprefix(f"{path}/"): parameter["Value"]
            for page in pages.paginate(Path=path, Recursive=True, WithDecryption=True)
            for parameter in page["Parameters"]
        }
    except (aws.ClientError, aws.BotoCoreError, ValueError, OSError) as error:
        raise _explained("ETL_PARAMETER_PATH", path, error) from error
    if not parameters:
        raise ConfigurationError(
            f"ETL_PARAMETER_PATH {path}: no parameters there; check the path, the account and AWS_REGION"
        )
    return parameters


def read_parameter(name: str, region: str | None = None) -> str:
    """Reads and decrypts one parameter, by its full name. Raises the errors of ``read_parameters``."""
    try:
        answer = boto3.client("ssm", region_name=region, config=_CONFIG).get_parameter(Name=name, WithDecryption=True)
    except (aws.ClientError, aws.BotoCoreError, ValueError, OSError) as error:
        raise _explained("the parameter", name, error) from error
    value: str = answer["Parameter"]["Value"]
    return value


def mint_token(host: str, port: int, user: str, region: str | None = None) -> str:
    """Signs a password for an RDS database with IAM authentication; it is valid for 15 minutes.

    The host's name decides the region if it contains one. Raises ConfigurationError if credentials or region are
    missing, ConnectionFailed if the service that provides the credentials does not answer.
    """
    named = _RDS_HOST.search(host)
    try:
        client = _rds(named[1] if named else region)
        token: str = client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
    except _UNREACHABLE as error:
        raise ConnectionFailed(f"no token for {user} at {host}: {one_line(error)}; try again later") from error
    except (aws.BotoCoreError, ValueError) as error:
        remedy = "give the task a role that may rds-db:connect, and set AWS_REGION"
        raise ConfigurationError(f"no token for {user} at {host}: {one_line(error)}; {remedy}") from error
    return token


_RDS_HOST = re.compile(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com(?:\.cn)?$")


@cache
def _rds(region: str | None) -> Any:
    return boto3.client("rds", region_name=region, config=_CONFIG)


def _explained(what: str, path: str, error: Exception) -> EtlError:
    if isinstance(error, aws.ClientError):
        return _refused(what, path, error)
    if isinstance(error, _UNREACHABLE):
        reason = one_line(error)
        return ConnectionFailed(f"Parameter Store cannot be reached for {path}: {reason}; check network and endpoint")
    if isinstance(error, aws.NoCredentialsError | aws.PartialCredentialsError):
        remedy = "give the task a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        return ConfigurationError(f"{what} {path}: no AWS credentials; {remedy}")
    if isinstance(error, aws.NoRegionError):
        return ConfigurationError(f"{what} {path}: no AWS region; set AWS_REGION")
    # All other errors come from wrong settings of the SDK: a profile, a region, or an endpoint that is not valid (for
    # which botocore raises ValueError).
    return ConfigurationError(f"{what} {path}: {one_line(error)}; check the AWS_… variables")


def _refused(what: str, path: str, error: aws.ClientError) -> EtlError:
    code = error.response["Error"]["Code"]
    message = " ".join(error.response["Error"].get("Message", "").split()).rstrip(".")
    if code in _TRANSIENT or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        return ConnectionFailed(f"Parameter Store refused {path} again and again: {code}: {message}; try again later")
    remedy = _REMEDIES.get(code, "check the path and the role's rights")
    return ConfigurationError(f"{what} {path}: {code}: {message}; {remedy}")
