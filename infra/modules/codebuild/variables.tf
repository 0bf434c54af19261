variable "name" {
  description = "Name of the deployment; what is made here is named after it."
  type        = string
}

variable "image" {
  description = "The job's image, by digest."
  type        = string
}

variable "statements" {
  description = "IAM statements for what the copy itself does: read its settings, and sign in to the databases."
  type        = any
}

variable "pull_statements" {
  description = "IAM statements that let the image be pulled."
  type        = any
  default     = []
}

variable "environment" {
  description = "Environment variables of the job. No secrets: the state contains the values."
  type        = map(string)
  default     = {}
}

variable "subnet_ids" {
  description = "Subnets in which the job runs."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the job."
  type        = list(string)
}

variable "log_retention_days" {
  description = "Days that log lines are kept."
  type        = number
  default     = 90
}

variable "log_kms_key_arn" {
  description = "KMS key that encrypts the log group; null for CloudWatch's own."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of the roles."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything here."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "VPC of the subnets."
  type        = string
}

variable "source_code" {
  description = "Repository with buildspec.yml; null runs the image, without a source."
  type = object({
    type      = string
    location  = string
    version   = optional(string)
    buildspec = optional(string, "buildspec.yml")
  })
  default = null

  validation {
    condition     = var.source_code == null || contains(["GITHUB", "GITHUB_ENTERPRISE", "GITLAB", "BITBUCKET", "CODECOMMIT", "S3"], try(var.source_code.type, ""))
    error_message = "source_code.type must be GITHUB, GITHUB_ENTERPRISE, GITLAB, BITBUCKET, CODECOMMIT or S3."
  }
}

variable "source_statements" {
  description = "IAM statements that let the project fetch its source, such as codecommit:GitPull, s3:GetObject or codeconnections:UseConnection."
  type        = any
  default     = []
}

variable "standard_image" {
  description = "CodeBuild's image for a build from the repository; it must have the Python that buildspec.yml asks for. null for the standard one of the architecture."
  type        = string
  default     = null

  validation {
    condition     = var.standard_image == null || (var.architecture == "arm64") == can(regex("aarch64", coalesce(var.standard_image, "none")))
    error_message = "standard_image must be of the architecture: one with aarch64 in its name for arm64, and none such for x86_64."
  }
}

variable "command" {
  description = "Command that the image runs; CodeBuild does not use the image's entry point."
  type        = string
  default     = "etl \"$${ETL_COMMAND:-run}\""
}

variable "compute_type" {
  description = "Size of the build's machine."
  type        = string
  default     = "BUILD_GENERAL1_SMALL"

  validation {
    condition     = can(regex("^BUILD_GENERAL1_(SMALL|MEDIUM|LARGE|XLARGE|2XLARGE)$", var.compute_type))
    error_message = "compute_type must be BUILD_GENERAL1_SMALL, _MEDIUM, _LARGE, _XLARGE or _2XLARGE."
  }
}

variable "architecture" {
  description = "x86_64 or arm64; the image's."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "concurrent_builds" {
  description = "Greatest number of builds at once; null means the account's limit."
  type        = number
  default     = null
}

variable "timeout_minutes" {
  description = "Minutes after which CodeBuild ends a build."
  type        = number
  default     = 240

  validation {
    condition     = var.timeout_minutes >= 5 && var.timeout_minutes <= 2160
    error_message = "timeout_minutes must be from 5 to 2160."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the build's output; there is none, and the check for it asks."
  type        = string
  default     = null
}
