variable "name" {
  description = "Name of the deployment; the key's alias, and the log groups that it may encrypt, begin with it."
  type        = string
}

variable "path" {
  description = "Path of the parameters: ETL_PARAMETER_PATH."
  type        = string

  validation {
    condition     = can(regex("^(/[A-Za-z0-9_.-]+){1,15}$", var.path)) && !can(regex("(?i)^/(aws|ssm)", var.path))
    error_message = "path must look like /nightly-etl/prod, without a slash at its end, and not begin with /aws or /ssm."
  }
}

variable "secrets" {
  description = "SecureStrings to create: name under the path, and purpose. They hold a placeholder until somebody sets them."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", name))])
    error_message = "secrets must be named by letters, digits and _ . - with / between them, such as operational/url."
  }
}

variable "plain" {
  description = "Settings that are no secret, by name under the path, such as tables or options."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.plain) : !can(regex("password|url$|mask_key|webhook|token", name))])
    error_message = "plain holds what may stand in the state; passwords, URLs, keys, webhooks and tokens belong into secrets."
  }

  validation {
    condition     = alltrue([for value in values(var.plain) : length(value) > 0 && length(value) <= 8192])
    error_message = "plain takes texts of 1 to 8192 characters, which is what a parameter holds."
  }
}

variable "create_kms_key" {
  description = "Whether to make a KMS key for the secrets; kms_key_arn is not looked at then."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Your own KMS key for the secrets, instead of a new one."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (not of an alias): IAM policies are written on keys."
  }

  validation {
    condition     = var.create_kms_key || var.kms_key_arn != null
    error_message = "kms_key_arn is needed where no key is made."
  }
}

variable "kms_key_alias" {
  description = "Alias of kms_key_arn, alias/…, by which secrets may be set too; null where it has none."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_alias == null || can(regex("^alias/[A-Za-z0-9/_-]+$", var.kms_key_alias))
    error_message = "kms_key_alias must look like alias/nightly-etl."
  }
}

variable "kms_deletion_days" {
  description = "Days between the destruction of a key made here and its end; 7 to 30."
  type        = number
  default     = 30

  validation {
    condition     = var.kms_deletion_days >= 7 && var.kms_deletion_days <= 30
    error_message = "kms_deletion_days must be from 7 to 30."
  }
}

variable "tags" {
  description = "Tags of everything here."
  type        = map(string)
  default     = {}
}
