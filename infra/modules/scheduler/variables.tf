variable "name" {
  description = "Name of the deployment, the nightly module's; what is made here is named after it, and `nightly-jobs` finds it by this name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,50}$", var.name))
    error_message = "name must be 1 to 50 letters, digits, _ and -."
  }
}

variable "zip" {
  description = "The scheduler's zip; `make zips` makes dist/scheduler.zip."
  type        = string
}

variable "architecture" {
  description = "x86_64 or arm64 (the zip is of both)."
  type        = string
  default     = "x86_64"
}

variable "state_machine_arn" {
  description = "The nightly state machine, which the jobs are executions of."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[^:]+$", var.state_machine_arn))
    error_message = "state_machine_arn must be a state machine's ARN, without a version or an alias."
  }
}

variable "notifier_function_name" {
  description = "The nightly module's notifier, which tells Slack of a job that is paused; null for none."
  type        = string
  default     = null
}

variable "topic_arn" {
  description = "SNS topic of the alarms."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:", var.topic_arn))
    error_message = "topic_arn must be a topic's ARN."
  }
}

variable "notify_topics" {
  description = "Names of SNS topics of this account and region that jobs may notify, with * for any text: [\"tenant-*\"]."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for topic in var.notify_topics : can(regex("^[A-Za-z0-9_*-]{1,256}$", topic)) && can(regex("[A-Za-z0-9]", topic))])
    error_message = "notify_topics must be names of topics, not ARNs: letters, digits, _ and -, with * for any text beside them."
  }
}

variable "notify_topic_kms_key_arns" {
  description = "KMS keys of those topics, where they are encrypted."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for key in var.notify_topic_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", key))])
    error_message = "notify_topic_kms_key_arns must be ARNs of keys (not of aliases): IAM policies are written on keys."
  }
}

variable "at_once" {
  description = "How many executions may use one source, or one target, at once, where the pool has no number of its own."
  type        = number
  default     = 10

  validation {
    condition     = var.at_once >= 1 && floor(var.at_once) == var.at_once
    error_message = "at_once must be a whole number from 1 on."
  }
}

variable "runner_concurrency" {
  description = "How many runners work at once, at most, each on ten due times; the account's limit of Lambda must have room for them."
  type        = number
  default     = 20

  # https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html
  validation {
    condition     = var.runner_concurrency >= 2 && var.runner_concurrency <= 1000
    error_message = "runner_concurrency must be from 2 to 1000."
  }
}

variable "tick_memory_mb" {
  description = "Memory of the tick in MB; CPU comes with it. 1769 are one vCPU."
  type        = number
  default     = 1024
}

variable "late_minutes" {
  description = "A job that starts so many minutes after it was due, and a due time that is in the queue for so long, are alarms."
  type        = number
  default     = 15

  validation {
    condition     = var.late_minutes >= 5
    error_message = "late_minutes must be 5 or more: a due time may be in the queue for two minutes before it is due, and comes again three minutes after a failure."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the table; null for DynamoDB's own."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (not of an alias): IAM policies are written on keys."
  }
}

variable "log_retention_days" {
  description = "Days that log lines are kept."
  type        = number
  default     = 90
}

variable "log_kms_key_arn" {
  description = "KMS key that encrypts the log groups; null for CloudWatch's own. The nightly module's key allows them, where the name is the same."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether `terraform destroy` takes the table with its jobs; otherwise the table is protected."
  type        = bool
  default     = false
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary for every role."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}
