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

variable "platform" {
  description = "Platform of the environments: fargate or ec2."
  type        = string
  default     = "fargate"

  validation {
    condition     = contains(["fargate", "ec2"], var.platform)
    error_message = "platform must be fargate or ec2."
  }
}

variable "spot" {
  description = "Whether Spot is asked before on-demand."
  type        = bool
  default     = true
}

variable "max_vcpus" {
  description = "vCPUs of each environment at most: how many containers run at once. In a fan-out it takes the holder of the snapshot and all shards that run at once."
  type        = number
  default     = 16

  validation {
    condition     = var.max_vcpus >= 1 && floor(var.max_vcpus) == var.max_vcpus
    error_message = "max_vcpus must be a whole number, 1 or more."
  }
}

variable "instance_types" {
  description = "Instance types or families, for ec2; null for Batch's own choice for the architecture."
  type        = list(string)
  default     = null

  # Graviton's families have a g after their generation: m7g, c6gn, r8gd, t4g.
  validation {
    condition     = var.instance_types == null || alltrue([for one in coalesce(var.instance_types, []) : (var.architecture == "arm64") == can(regex("^(default_arm64$|a1|[a-z]+[0-9]+g[a-z]*(\\.|$))", one))])
    error_message = "instance_types must be of the architecture: optimal, default_x86_64, m7i … for x86_64; default_arm64, m7g … for arm64."
  }
}

variable "command" {
  description = "The image's command."
  type        = list(string)
  default     = ["run"]
}

variable "vcpu" {
  description = "vCPUs of a container; on Fargate 0.25, 0.5, 1, 2, 4, 8 or 16, on EC2 a whole number."
  type        = number
  default     = 1

  validation {
    condition     = var.platform == "fargate" ? contains([0.25, 0.5, 1, 2, 4, 8, 16], var.vcpu) : (var.vcpu >= 1 && floor(var.vcpu) == var.vcpu)
    error_message = "vcpu must be 0.25, 0.5, 1, 2, 4, 8 or 16 on Fargate, a whole number on EC2."
  }
}

variable "memory_mb" {
  description = "Memory of a container in MB."
  type        = number
  default     = 2048

  validation {
    condition     = var.platform != "fargate" || (var.memory_mb >= 2048 * min(var.vcpu, 8) && var.memory_mb <= 8192 * max(var.vcpu, 1) && var.memory_mb % 512 == 0) || (var.vcpu == 0.25 && contains([512, 1024, 2048], var.memory_mb)) || (var.vcpu == 0.5 && contains([1024, 2048, 3072, 4096], var.memory_mb))
    error_message = "memory_mb must be from 2048 to 8192 for each vCPU on Fargate; with 0.25 vCPU 512, 1024 or 2048, with 0.5 from 1024 to 4096."
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
  description = "Disk of a Fargate container in GB; rows never touch it."
  type        = number
  default     = 21

  validation {
    condition     = var.ephemeral_storage_gb >= 21 && var.ephemeral_storage_gb <= 200
    error_message = "ephemeral_storage_gb must be from 21 to 200."
  }
}

variable "attempts" {
  description = "How often a job is tried when a host or capacity fails, where whoever submits it says nothing of it (the nightly machine says once, and tries a shard again itself); exit statuses 1 and 2 are never tried again."
  type        = number
  default     = 3

  validation {
    condition     = var.attempts >= 1 && var.attempts <= 10 && floor(var.attempts) == var.attempts
    error_message = "attempts must be a whole number from 1 to 10."
  }
}

variable "timeout_seconds" {
  description = "Seconds after which Batch ends an attempt."
  type        = number
  default     = 14400

  validation {
    condition     = var.timeout_seconds >= 60
    error_message = "timeout_seconds must be 60 or more, which is what Batch takes."
  }
}

variable "assign_public_ip" {
  description = "Whether Fargate containers get a public address: in public subnets without NAT or endpoints."
  type        = bool
  default     = false
}

variable "runnable_minutes" {
  description = "Minutes after which Batch cancels a job that it cannot place: no capacity, or more wanted than an environment may have."
  type        = number
  default     = 30

  validation {
    condition     = var.runnable_minutes >= 10 && var.runnable_minutes <= 1440 && floor(var.runnable_minutes) == var.runnable_minutes
    error_message = "runnable_minutes must be a whole number from 10 to 1440, which is what Batch takes."
  }
}
