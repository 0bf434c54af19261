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

variable "create_job_role" {
  description = "Whether to make the role of the copy itself."
  type        = bool
  default     = true
}

variable "job_role_arn" {
  description = "Your own role for the copy itself, instead of a new one. ecs-tasks.amazonaws.com must be allowed to assume it, and it needs `statements`."
  type        = string
  default     = null

  validation {
    condition     = var.job_role_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/", var.job_role_arn))
    error_message = "job_role_arn must be a role's ARN."
  }

  validation {
    condition     = var.create_job_role == (var.job_role_arn == null)
    error_message = "job_role_arn goes with create_job_role = false, and that with it."
  }
}

variable "volumes" {
  description = "Volumes of the job's container by name: where each is mounted, whether it may be written to, and the EFS file system; without one, space of the container's own."
  type = map(object({
    path      = string
    read_only = optional(bool, false)
    efs = optional(object({
      file_system_id  = string
      access_point_id = optional(string)
    }))
  }))
  default = {}

  validation {
    condition     = alltrue([for name, volume in var.volumes : can(regex("^[A-Za-z0-9_-]{1,255}$", name)) && startswith(volume.path, "/")])
    error_message = "volumes must be named by letters, digits, _ and -, and each path begin with /."
  }
}

variable "container_secrets" {
  description = "Environment variables of the job's container that ECS reads when it starts: name to the ARN of a secret of Secrets Manager or of a parameter."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.container_secrets) : can(regex("^arn:[a-z-]+:(secretsmanager:[a-z0-9-]+:[0-9]{12}:secret|ssm:[a-z0-9-]+:[0-9]{12}:parameter)", arn))])
    error_message = "container_secrets must be ARNs of secrets or of parameters."
  }

  validation {
    condition     = length(setintersection(keys(var.container_secrets), keys(var.environment))) == 0
    error_message = "container_secrets and environment have a name in common, which ECS refuses: take it out of one."
  }
}

variable "container_secret_keys" {
  description = "KMS keys that encrypt those secrets, where they are not AWS's own."
  type        = list(string)
  default     = []
}

variable "create_cluster" {
  description = "Whether to make a cluster."
  type        = bool
  default     = true
}

variable "cluster_arn" {
  description = "Your own cluster, instead of a new one."
  type        = string
  default     = null

  validation {
    condition     = var.cluster_arn == null || can(regex("^arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]+$", var.cluster_arn))
    error_message = "cluster_arn must be an ECS cluster's ARN."
  }

  validation {
    condition     = var.create_cluster == (var.cluster_arn == null)
    error_message = "cluster_arn goes with create_cluster = false, and that with it."
  }
}

variable "command" {
  description = "The image's command."
  type        = list(string)
  default     = ["run"]
}

variable "vcpu" {
  description = "vCPUs of the task: 0.25, 0.5, 1, 2, 4, 8 or 16."
  type        = number
  default     = 1

  validation {
    condition     = contains([0.25, 0.5, 1, 2, 4, 8, 16], var.vcpu)
    error_message = "vcpu must be 0.25, 0.5, 1, 2, 4, 8 or 16."
  }
}

variable "memory_mb" {
  description = "Memory of the task in MB."
  type        = number
  default     = 2048

  validation {
    condition     = (var.memory_mb >= 2048 * min(var.vcpu, 8) && var.memory_mb <= 8192 * max(var.vcpu, 1) && var.memory_mb % 512 == 0) || (var.vcpu == 0.25 && contains([512, 1024, 2048], var.memory_mb)) || (var.vcpu == 0.5 && contains([1024, 2048, 3072, 4096], var.memory_mb))
    error_message = "memory_mb must be from 2048 to 8192 for each vCPU; with 0.25 vCPU 512, 1024 or 2048, with 0.5 from 1024 to 4096."
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

variable "ephemeral_storage_gb" {
  description = "Disk of the task in GB; rows never touch it."
  type        = number
  default     = 21

  validation {
    condition     = var.ephemeral_storage_gb >= 21 && var.ephemeral_storage_gb <= 200
    error_message = "ephemeral_storage_gb must be from 21 to 200."
  }
}

variable "extra_container_definitions" {
  description = "Container definitions beside the job's own, which is called etl: a proxy, an agent."
  type        = any
  default     = []

  validation {
    condition     = alltrue([for container in var.extra_container_definitions : can(container.name) && try(container.name, "etl") != "etl"])
    error_message = "each of extra_container_definitions needs a name, and etl is taken."
  }
}

variable "spot" {
  description = "Whether the task runs on Fargate Spot."
  type        = bool
  default     = false
}

variable "assign_public_ip" {
  description = "Whether the task gets a public address: in public subnets without NAT or endpoints."
  type        = bool
  default     = false
}

variable "schedule" {
  description = "When the task runs by itself, without a state machine; null for not at all. Not in an hour that the zone's clocks leave out in spring."
  type = object({
    expression       = string
    timezone         = optional(string, "UTC")
    flexible_minutes = optional(number, 0)
    enabled          = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.schedule == null || can(regex("^(cron|rate|at)\\(.+\\)$", var.schedule.expression))
    error_message = "schedule.expression must be Scheduler's, such as cron(15 4 * * ? *)."
  }

  validation {
    condition     = var.schedule == null || try(var.schedule.flexible_minutes >= 0 && var.schedule.flexible_minutes <= 1440, false)
    error_message = "schedule.flexible_minutes must be from 0 to 1440."
  }

  validation {
    condition     = var.schedule == null || contains(keys(local.zones), try(var.schedule.timezone, "none"))
    error_message = "schedule.timezone must be a zone's name in the time zone database, such as Europe/Berlin or UTC (infra/zones.json has them all)."
  }

  # The hours that the expression names one by one; a range or a step is in other hours too.
  # https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#daylist-savings-time
  validation {
    condition = var.schedule == null || !anytrue([
      for hour in try(
        split(",", regex("^cron\\([^ ]+ ([0-9,]+) ", var.schedule.expression)[0]),
        regex("^at\\([0-9-]+T([0-9]+):", var.schedule.expression),
        [],
      ) : contains(try(local.zones[var.schedule.timezone], []), tonumber(hour))
    ])
    error_message = "schedule.expression is in an hour that the clocks of schedule.timezone leave out when they are put forward, and Scheduler skips that night: take an hour other than ${join(" and ", try(local.zones[var.schedule.timezone], []))}, or UTC."
  }
}

variable "topic_arn" {
  description = "SNS topic that hears of failed tasks, where a schedule is given."
  type        = string
  default     = null

  validation {
    condition     = var.schedule == null || var.topic_arn != null
    error_message = "topic_arn is needed with a schedule: without it nobody would hear of a failed night."
  }
}
