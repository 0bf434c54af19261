"""Parameter Store: the only place that knows boto3. Imported only when ETL_PARAMETER_PATH is set."""

from __future__ import annotations

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from etl.errors import ConfigurationError, ConnectionFailed

# A container that cannot reach the service should say so within half a minute, not after boto3's default
# of 60 s a try; standard mode retries throttling with jittered backoff.
_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})

_REMEDIES = {
    "AccessDeniedException": "allow ssm:GetParametersByPath on the path, and kms:Decrypt on the key of its SecureStrings",
    "ExpiredTokenException": "the credentials have expired; renew them",
    "UnrecognizedClientException": "the credentials are not valid in this region; check them and AWS_REGION",
    "InvalidSignatureException": "the credentials are wrong; check the secret key",
    "InvalidKeyId": "the key that encrypted a SecureString is gone or disabled",
}


def read_parameters(path: str) -> dict[str, str]:
    """Reads all parameters under a path, decrypted, however many pages they are.

    Gives values by name relative to the path. Raises ConfigurationError where there are none, where
    credentials, region or rights are missing; ConnectionFailed where the service does not answer.
    """
    try:
        pages = boto3.client("ssm", config=_CONFIG).get_paginator("get_parameters_by_path")
        found = {
            parameter["Name"].removeprefix(f"{path}/"): parameter["Value"]
            for page in pages.paginate(Path=path, Recursive=True, WithDecryption=True)
            for parameter in page["Parameters"]
        }
    except ClientError as error:
        raise _refused(path, error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise ConfigurationError(
            f"ETL_PARAMETER_PATH {path}: no AWS credentials; give the task a role, or set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY"
        ) from error
    except NoRegionError as error:
        raise ConfigurationError(f"ETL_PARAMETER_PATH {path}: no AWS region; set AWS_REGION") from error
    except EndpointConnectionError as error:
        raise ConnectionFailed(f"Parameter Store cannot be reached at {error.kwargs.get('endpoint_url')}") from error
    except BotoCoreError as error:
        raise ConnectionFailed(f"Parameter Store did not answer for {path}: {error}") from error
    if not found:
        raise ConfigurationError(f"ETL_PARAMETER_PATH {path}: no parameters there; check the path, account and region")
    return found


def _refused(path: str, error: ClientError) -> Exception:
    code = error.response["Error"]["Code"]
    message = error.response["Error"].get("Message", "")
    if code in {"ThrottlingException", "TooManyUpdates", "InternalServerError", "ServiceUnavailable"}:
        return ConnectionFailed(f"Parameter Store refused {path} again and again ({code}): {message}")
    remedy = _REMEDIES.get(code, "check the path and the role's rights")
    return ConfigurationError(f"ETL_PARAMETER_PATH {path}: {code}: {message}; {remedy}")
