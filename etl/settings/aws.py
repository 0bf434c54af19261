"""Parameter Store, and tokens for RDS databases.

It is imported only if a setting asks for parameters or tokens. The only other module that uses boto3, for the pages of
nights, is ``etl.report.bucket``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore import exceptions as aws
from botocore.config import Config

from etl.model import limits
from etl.model.errors import ConfigurationError, ConnectionFailed, EtlError, one_line
from etl.settings.access import TAG, Access
from etl.settings.found import PARAMETER_PATH

CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
"""How long clients wait. A container that cannot reach the service reports it within half a minute; boto3's default is
60 s for each attempt. The standard mode retries throttled requests with jittered backoff."""

_ERRORS = (aws.ClientError, aws.BotoCoreError, ValueError, OSError)

_REMEDIES = {
    "AccessDeniedException": "allow ssm:GetParametersByPath on the path, or ssm:GetParameter on the parameter, and"
    " kms:Decrypt on its SecureStrings' key",
    "ParameterNotFound": "there is no such parameter; check its name, the account and AWS_REGION",
    "ExpiredTokenException": "the credentials have expired; renew them",
    "UnrecognizedClientException": "the credentials are not valid in this region; check them and AWS_REGION",
    "InvalidSignatureException": "the credentials are wrong; check the secret key",
    "InvalidKeyId": "the key that encrypted a SecureString is gone or disabled",
}


_ROLE_REMEDIES = {
    "AccessDenied": "check that there is such a role; let this process's own role sts:AssumeRole and sts:TagSession on"
    " it, and let the role's trust policy name that role, for this path",
    "ExpiredToken": _REMEDIES["ExpiredTokenException"],
    "InvalidClientTokenId": _REMEDIES["UnrecognizedClientException"],
    "SignatureDoesNotMatch": _REMEDIES["InvalidSignatureException"],
    "RegionDisabledException": "the region is not enabled for STS in this account; check AWS_REGION",
    "PackedPolicyTooLarge": "move the settings to a shorter path",
}

_TRANSIENT = {"Throttling", "ThrottlingException", "TooManyUpdates", "InternalServerError", "ServiceUnavailable"}

UNREACHABLE = (aws.ConnectionError, aws.HTTPClientError, aws.CredentialRetrievalError)
"""The errors of a service, or of that for credentials, that does not answer."""


@dataclass(slots=True)
class Store:
    """Parameter Store, as one reading of settings sees it.

    ``region`` overrides the region of the SDK's configuration. With ``access``, a role is assumed for the first
    parameter, and reads all of them. The methods raise ConfigurationError if credentials, region or rights are missing,
    and ConnectionFailed if the service does not answer.
    """

    region: str | None = None
    access: Access | None = None
    _client: Any = None

    def parameters(self, path: str) -> dict[str, str]:
        """Reads and decrypts all parameters under a path, over all pages of the answer.

        Returns values by name relative to the path. Raises ConfigurationError if the path has no parameters, too.
        """
        try:
            pages = self._opened().get_paginator("get_parameters_by_path")
            parameters = {
                parameter["Name"].removeprefix(f"{path}/"): parameter["Value"]
                for page in pages.paginate(Path=path, Recursive=True, WithDecryption=True)
                for parameter in page["Parameters"]
            }
        except _ERRORS as error:
            raise _explained(PARAMETER_PATH, path, error, self.access) from error
        if not parameters:
            raise ConfigurationError(
                f"ETL_PARAMETER_PATH {path}: no parameters there; check the path, the account and AWS_REGION"
            )
        return parameters

    def parameter(self, name: str) -> str:
        """Reads and decrypts one parameter, by its full name."""
        try:
            answer = self._opened().get_parameter(Name=name, WithDecryption=True)
        except _ERRORS as error:
            raise _explained("the parameter", name, error, self.access) from error
        value: str = answer["Parameter"]["Value"]
        return value

    def _opened(self) -> Any:
        if self._client is None:
            session = _assumed(self.region, self.access) if self.access else boto3.Session()
            self._client = session.client("ssm", region_name=self.region, config=CONFIG)
        return self._client


def _assumed(region: str | None, access: Access) -> boto3.Session:
    """A session of the role that is tagged with the path. It is not kept from one reading of settings to the next.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """
    client = boto3.client("sts", region_name=region, config=CONFIG)
    tags = [{"Key": TAG, "Value": access.path}]
    try:
        answer = client.assume_role(
            RoleArn=access.role, RoleSessionName=access.session, DurationSeconds=limits.ROLE_SECONDS, Tags=tags
        )
    except aws.ClientError as error:
        raise _role_refused(access, error) from error
    except UNREACHABLE as error:
        raise ConnectionFailed(
            f"STS cannot be reached for {access.role}: {one_line(error)}; check network and endpoint"
        ) from error
    made = answer["Credentials"]
    return boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def mint_token(host: str, port: int, user: str, region: str | None = None) -> str:
    """Signs a password for an RDS database with IAM authentication; it is valid for 15 minutes.

    The host's name decides the region if it contains one. Raises ConfigurationError if credentials or region are
    missing, ConnectionFailed if the service that provides the credentials does not answer.
    """
    named = _RDS_HOST.search(host)
    try:
        client = _rds(named[1] if named else region)
        token: str = client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
    except UNREACHABLE as error:
        raise ConnectionFailed(f"no token for {user} at {host}: {one_line(error)}; try again later") from error
    except (aws.BotoCoreError, ValueError) as error:
        remedy = "give the task a role that may rds-db:connect, and set AWS_REGION"
        raise ConfigurationError(f"no token for {user} at {host}: {one_line(error)}; {remedy}") from error
    return token


_RDS_HOST = re.compile(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com(?:\.cn)?$")


@cache
def _rds(region: str | None) -> Any:
    return boto3.client("rds", region_name=region, config=CONFIG)


def _role_refused(access: Access, error: aws.ClientError) -> EtlError:
    """STS does not say whether there is such a role, so the remedy names all that may be missing."""
    code, message = said(error)
    if is_passing(error):
        return ConnectionFailed(f"STS refused {access.role} again and again: {code}: {message}; try again later")
    remedy = _ROLE_REMEDIES.get(code, "check the role, and the process's own credentials")
    reason = message or "no reason was given"
    return ConfigurationError(
        f"ETL_PARAMETER_ROLE {access.role}, for settings_path {access.path}: {code}: {reason}; {remedy}"
    )


def _explained(what: str, path: str, error: Exception, access: Access | None) -> EtlError:
    if isinstance(error, aws.ClientError):
        return _refused(what, path, error, access)
    if isinstance(error, UNREACHABLE):
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


def _refused(what: str, path: str, error: aws.ClientError, access: Access | None) -> EtlError:
    code, message = said(error)
    if is_passing(error):
        return ConnectionFailed(f"Parameter Store refused {path} again and again: {code}: {message}; try again later")
    remedy = _REMEDIES.get(code, "check the path and the role's rights")
    if access and code == "AccessDeniedException":
        remedy = f"{access.role} may read what is under {PARAMETER_PATH} alone; check the path, and {remedy}"
    return ConfigurationError(f"{what} {path}: {code}: {message}; {remedy}")


def said(error: aws.ClientError) -> tuple[str, str]:
    """The code and the message of a refusal, the message as one line without its full stop."""
    refusal = error.response["Error"]
    return refusal["Code"], " ".join(refusal.get("Message", "").split()).rstrip(".")


def is_passing(error: aws.ClientError) -> bool:
    """Whether a refusal says something of the service, not of the request: boto3 has tried again before it tells."""
    return error.response["Error"]["Code"] in _TRANSIENT or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
