variable "name" {
  description = "Name of the function, of its role and of its log group."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 letters, digits, _ and -."
  }
}

variable "description" {
  description = "Purpose of the function, in one line."
  type        = string
}

variable "image" {
  description = "Image by digest, for a function that runs from the job's image; null for one from a zip."
  type        = string
  default     = null

  validation {
    condition     = (var.image == null) != (var.zip == null)
    error_message = "give either image or zip."
  }
}

variable "image_config" {
  description = "Entry point and command that make the image a function."
  type = object({
    entry_point = optional(list(string))
    command     = optional(list(string))
  })
  default = {}
}

variable "zip" {
  description = "Path of the zip, for a function of its own code; null for one from the image."
  type        = string
  default     = null

  validation {
    condition     = var.zip == null || can(filebase64sha256(coalesce(var.zip, "none")))
    error_message = "zip is no file; `make zips` makes the bundled functions' in dist/."
  }
}

variable "handler" {
  description = "Handler within the zip."
  type        = string
  default     = null
}

variable "runtime" {
  description = "Lambda runtime of the zip."
  type        = string
  default     = "python3.13"
}

variable "architecture" {
  description = "x86_64 or arm64; the image's or the zip's."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "environment" {
  description = "Environment variables. No secrets: the state contains the values."
  type        = map(string)
  default     = {}
}

variable "timeout_seconds" {
  description = "Time limit of a call."
  type        = number
  default     = 60

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "timeout_seconds must be from 1 to 900."
  }
}

variable "memory_mb" {
  description = "Memory in MB; CPU comes with it."
  type        = number
  default     = 256

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "memory_mb must be from 128 to 10240."
  }
}

variable "statements" {
  description = "IAM statements for what the function does, beside its logs and its network."
  type        = any
  default     = []
}

variable "subnet_ids" {
  description = "Subnets of a function inside the VPC; none for one outside."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups of a function inside the VPC."
  type        = list(string)
  default     = []
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
  description = "ARN of the permissions boundary of the role."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything here."
  type        = map(string)
  default     = {}
}
