# ---- what it is called

variable "name" {
  description = "Name of the deployment; everything made here is named after it, so two of them fit into one account."
  type        = string
  default     = "nightly-etl"

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9]+)*$", var.name)) && length(var.name) <= 40
    error_message = "name must be lower-case letters, digits and single hyphens, begin with a letter, and have 40 characters at most."
  }
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}

# ---- what runs

variable "image" {
  description = "The job's image, by digest: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:…. `make deploy` builds it, pushes it and says it."
  type        = string

  validation {
    condition     = can(regex("^[^@[:space:]]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must end with a digest, …@sha256: and 64 hexadecimal digits: a tag may be moved, and a rollback needs to know what ran."
  }
}

variable "architecture" {
  description = "The image's architecture, for which `make deploy` builds it and on which all of it runs: x86_64, or arm64 (Graviton), which costs a fifth less."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "create_repository" {
  description = "Whether to make an ECR repository for the image."
  type        = bool
  default     = true
}

variable "keep_images" {
  description = "Number of images that the repository keeps."
  type        = number
  default     = 20

  validation {
    condition     = var.keep_images >= 2 && floor(var.keep_images) == var.keep_images
    error_message = "keep_images must be a whole number, 2 or more: the image in use and one to roll back to."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` takes the images, and the pages of the nights, with it."
  type        = bool
  default     = false
}

variable "environment" {
  description = "More environment variables of the job and its functions, such as ETL_JOBS. No secrets: the state contains the values."
  type        = map(string)
  default     = {}

  validation {
    condition     = !anytrue([for name in keys(var.environment) : can(regex("PASSWORD|_URL$|MASK_KEY|SECRET|TOKEN", name))])
    error_message = "environment stands in the state; passwords, URLs, keys and tokens belong into Parameter Store (secrets)."
  }
}

# ---- where it runs

variable "vpc_id" {
  description = "VPC of the job."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "vpc_id must look like vpc-0123456789abcdef0."
  }
}

variable "subnet_ids" {
  description = "Subnets from which the databases, and AWS's APIs, can be reached."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "subnet_ids must be one or more of the form subnet-0123456789abcdef0."
  }
}

variable "assign_public_ip" {
  description = "Whether containers on Fargate get a public address: in public subnets without NAT or endpoints. The functions never get one."
  type        = bool
  default     = false
}

variable "security_group_ids" {
  description = "Your own security groups for the job, instead of a new one."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.security_group_ids : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "security_group_ids must be of the form sg-0123456789abcdef0."
  }
}

variable "databases" {
  description = "The databases, by any name: security group or CIDR, port, and whether the group gets a rule that allows the job."
  type = map(object({
    security_group_id = optional(string)
    cidr              = optional(string)
    port              = optional(number, 5432)
    allow             = optional(bool, true)
  }))
  default = {}

  validation {
    condition     = alltrue([for database in values(var.databases) : (database.security_group_id == null) != (database.cidr == null)])
    error_message = "each of databases needs either security_group_id or cidr."
  }

  validation {
    condition     = alltrue([for database in values(var.databases) : database.port >= 1 && database.port <= 65535])
    error_message = "each of databases needs a port from 1 to 65535."
  }

  validation {
    condition     = alltrue([for database in values(var.databases) : database.cidr == null || can(cidrhost(coalesce(database.cidr, "none"), 0))])
    error_message = "cidr of each of databases must be one, such as 10.0.12.0/24."
  }

  # EC2 refuses a rule that is there already, and takes a CIDR for its network (10.0.0.7/24 for 10.0.0.0/24):
  # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupEgress.html
  validation {
    condition = length(distinct([
      for database in values(var.databases) : join(" ", [
        coalesce(database.security_group_id, try(cidrsubnet(database.cidr, 0, 0), database.cidr), "none"), database.port,
      ])
    ])) == length(var.databases)
    error_message = "two of databases have the same security group or CIDR, and the same port: name them once, for one rule lets the job reach both."
  }

  validation {
    condition     = length(var.databases) > 0 || length(var.security_group_ids) > 0
    error_message = "databases must name the databases, or security_group_ids the groups that reach them; with neither, the job reaches nothing."
  }
}

variable "https_cidrs" {
  description = "Addresses of AWS's APIs: all, through NAT; [] if all of them are behind endpoints."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = alltrue([for cidr in var.https_cidrs : can(cidrhost(cidr, 0))])
    error_message = "https_cidrs must be CIDRs, such as 0.0.0.0/0."
  }

  validation {
    condition     = length(distinct([for cidr in var.https_cidrs : try(cidrsubnet(cidr, 0, 0), cidr)])) == length(var.https_cidrs)
    error_message = "https_cidrs must name each network once."
  }
}

variable "https_security_groups" {
  description = "Security groups of the VPC's interface endpoints, by any name."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(distinct(values(var.https_security_groups))) == length(var.https_security_groups)
    error_message = "https_security_groups must name each group once."
  }
}

variable "https_prefix_lists" {
  description = "Prefix lists of the VPC's gateway endpoints (S3), by any name."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(distinct(values(var.https_prefix_lists))) == length(var.https_prefix_lists)
    error_message = "https_prefix_lists must name each list once."
  }
}

# ---- what it copies

variable "parameter_path" {
  description = "Path of the job's settings in Parameter Store (ETL_PARAMETER_PATH); null means /<name>. Slack's path is <path>-slack."
  type        = string
  default     = null

  validation {
    condition     = var.parameter_path == null || (can(regex("^(/[A-Za-z0-9_.-]+){1,14}$", var.parameter_path)) && !can(regex("(?i)^/(aws|ssm)", var.parameter_path)))
    error_message = "parameter_path must look like /nightly-etl/prod, without a slash at its end, and not begin with /aws or /ssm."
  }
}

variable "jobs" {
  description = "Makes the deployment one of many jobs: the path under which each job has its own, such as { path = \"/nightly-etl/jobs\" }. Each execution names its job; the deployment has no settings, no schedule, no starter and no deadline of its own."
  type        = object({ path = string })
  default     = null

  # One level and more are left for the jobs; a tag, which says whose settings a run reads, takes 256 characters.
  validation {
    condition     = var.jobs == null || (can(regex("^(/[A-Za-z0-9_.-]+){1,13}$", var.jobs.path)) && !can(regex("(?i)^/(aws|ssm)", var.jobs.path)) && try(length(var.jobs.path) <= 190, false))
    error_message = "jobs.path must look like /nightly-etl/jobs, without a slash at its end, not begin with /aws or /ssm, and have 190 characters at most."
  }

  validation {
    condition     = var.jobs == null || !startswith("${coalesce(var.parameter_path, "/${var.name}")}-slack/", "${try(var.jobs.path, "")}/")
    error_message = "jobs.path must not be above the path of Slack's secrets, <parameter_path>-slack, or a run could read them."
  }
}

variable "secrets" {
  description = "SecureStrings that the job reads: name under the path, and purpose. They are created with a placeholder; you set the values by hand, and they are never in the state. A deployment of jobs has none."
  type        = map(string)
  default = {
    "operational/url" = "The operational database, as a libpq URL with its password."
    "reporting/url"   = "The reporting database, as a libpq URL with its password."
  }
}

variable "slack_secrets" {
  description = "SecureStrings that the notifier reads: webhook_url, or bot_token and channel."
  type        = map(string)
  default     = { webhook_url = "Slack's incoming webhook." }

  validation {
    condition     = contains(keys(var.slack_secrets), "webhook_url") || (contains(keys(var.slack_secrets), "bot_token") && contains(keys(var.slack_secrets), "channel"))
    error_message = "slack_secrets must name webhook_url, or bot_token and channel."
  }
}

variable "settings" {
  description = "Settings of the job that are no secrets, by parameter: tables, jobs, verify, options …"
  type        = map(string)
  default     = {}

  validation {
    condition     = var.jobs == null || length(var.settings) == 0
    error_message = "settings are those of a deployment of one night: with jobs, put them under each job's path, and what all jobs share into environment."
  }
}

# What is made or given is told by a switch and not by null: an ARN of a resource in the same plan is not known to be either.
variable "create_kms_key" {
  description = "Whether to make a KMS key for secrets, logs, the pages of the nights and the topic."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Your own KMS key for secrets, logs, the pages of the nights and the topic, instead of a new one. It must let CloudWatch Logs, EventBridge and CloudWatch use it (modules/settings/main.tf shows how)."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (not of an alias): IAM policies are written on keys."
  }

  validation {
    condition     = var.create_kms_key == (var.kms_key_arn == null)
    error_message = "kms_key_arn goes with create_kms_key = false, and that with it."
  }
}

variable "rds_db_users" {
  description = "Database users that the job signs in as with tokens: arn:aws:rds-db:eu-central-1:123456789012:dbuser:cluster-ABC/etl_reader."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.rds_db_users : can(regex("^arn:[a-z-]+:rds-db:[a-z0-9-]+:[0-9]{12}:dbuser:[^/*]+/[^*]+$", arn))])
    error_message = "rds_db_users must be ARNs of database users, without *: arn:aws:rds-db:eu-central-1:123456789012:dbuser:cluster-ABC/etl_reader."
  }
}

# ---- on what

variable "compute" {
  description = "Service that runs the containers: batch, fargate or codebuild."
  type        = string
  default     = "batch"

  validation {
    condition     = contains(["batch", "fargate", "codebuild"], var.compute)
    error_message = "compute must be batch, fargate or codebuild."
  }
}

variable "batch" {
  description = "With compute = batch: the environments and a container's size (modules/batch)."
  type = object({
    platform             = optional(string, "fargate")
    spot                 = optional(bool, true)
    max_vcpus            = optional(number, 16)
    instance_types       = optional(list(string))
    vcpu                 = optional(number, 1)
    memory_mb            = optional(number, 2048)
    ephemeral_storage_gb = optional(number, 21)
    runnable_minutes     = optional(number, 30)
  })
  default = {}

  # The holder ends when the shards are done, and the shards wait for the holder's snapshot: shards that have taken all
  # there is would wait for ever. Spot may have nothing, and then on-demand has them all.
  validation {
    condition     = var.compute != "batch" || var.batch.max_vcpus >= (1 + local.shards_at_once) * var.batch.vcpu
    error_message = "batch.max_vcpus is ${var.batch.max_vcpus}, and must be ${(1 + local.shards_at_once) * var.batch.vcpu} or more: the holder of the snapshot and ${local.shards_at_once} shards run at once, with ${var.batch.vcpu} vCPU each. Give more, or fewer shards, or a max_concurrency."
  }
}

variable "fargate" {
  description = "With compute = fargate: the cluster and a task's size (modules/fargate)."
  type = object({
    create_cluster       = optional(bool, true)
    cluster_arn          = optional(string)
    spot                 = optional(bool, false)
    vcpu                 = optional(number, 1)
    memory_mb            = optional(number, 2048)
    ephemeral_storage_gb = optional(number, 21)
  })
  default = {}
}

variable "create_job_role" {
  description = "Whether to make the role of the copy itself. The functions have roles of their own in any case."
  type        = bool
  default     = true
}

variable "job_role_arn" {
  description = "Your own role for the copy itself, instead of a new one. ecs-tasks.amazonaws.com must be allowed to assume it, and it needs the output job_statements."
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

  validation {
    condition     = var.job_role_arn == null || var.compute != "codebuild"
    error_message = "job_role_arn goes with compute = batch or fargate: a build's role also makes its network interface, and is made here."
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

  validation {
    condition     = length(var.volumes) == 0 || var.compute != "codebuild"
    error_message = "volumes go with compute = batch or fargate."
  }
}

variable "container_secrets" {
  description = "Environment variables of the job's container that ECS reads when it starts: name to the ARN of a secret of Secrets Manager or of a parameter. The functions do not have them: the copy's own secrets belong into `secrets`."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.container_secrets) : can(regex("^arn:[a-z-]+:(secretsmanager:[a-z0-9-]+:[0-9]{12}:secret|ssm:[a-z0-9-]+:[0-9]{12}:parameter)", arn))])
    error_message = "container_secrets must be ARNs of secrets or of parameters."
  }

  validation {
    condition     = length(setintersection(keys(var.container_secrets), keys(local.environment))) == 0
    error_message = "container_secrets and environment have a name in common, which ECS refuses: take it out of one."
  }

  validation {
    condition     = length(var.container_secrets) == 0 || var.compute != "codebuild"
    error_message = "container_secrets go with compute = batch or fargate."
  }
}

variable "container_secret_keys" {
  description = "KMS keys that encrypt those secrets, where they are not AWS's own."
  type        = list(string)
  default     = []
}

variable "extra_container_definitions" {
  description = "With compute = fargate: containers beside the job's own in the task."
  type        = any
  default     = []
}

variable "codebuild" {
  description = "With compute = codebuild: the image without a source, or the repository with its buildspec.yml (modules/codebuild)."
  type = object({
    source_code = optional(object({
      type      = string
      location  = string
      version   = optional(string)
      buildspec = optional(string, "buildspec.yml")
    }))
    standard_image    = optional(string)
    compute_type      = optional(string, "BUILD_GENERAL1_SMALL")
    concurrent_builds = optional(number)
  })
  default = {}

  validation {
    condition     = var.compute != "codebuild" || try(var.codebuild.concurrent_builds >= 1 + local.shards_at_once, var.codebuild.concurrent_builds == null)
    error_message = "codebuild.concurrent_builds must be ${1 + local.shards_at_once} or more: the holder of the snapshot and ${local.shards_at_once} shards run at once, and wait for each other. Give more, or fewer shards, or a max_concurrency."
  }
}

variable "codebuild_source_statements" {
  description = "With compute = codebuild and a source: IAM statements that let the project fetch it."
  type        = any
  default     = []
}

# ---- when and how

variable "schedule" {
  description = "When it runs, once a day at most: Scheduler's expression, time zone, how many minutes it may begin later, and whether it does. Not in an hour that the zone's clocks leave out in spring."
  type = object({
    expression       = optional(string, "cron(15 4 * * ? *)")
    timezone         = optional(string, "UTC")
    flexible_minutes = optional(number, 15)
    enabled          = optional(bool, true)
  })
  default = {}

  validation {
    condition     = anytrue([for form in local.once_a_day : can(regex(form, var.schedule.expression))])
    error_message = "schedule.expression must be Scheduler's and start once a day at most, for the starter makes one run a date: cron(15 4 * * ? *), with one number for the minute and one for the hour; rate(1 day); or at(2026-11-22T04:15:00)."
  }

  validation {
    condition     = contains(keys(local.zones), var.schedule.timezone)
    error_message = "schedule.timezone must be a zone's name in the time zone database, such as Europe/Berlin or UTC (infra/zones.json has them all)."
  }

  # https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#daylist-savings-time
  validation {
    condition = !contains(lookup(local.zones, var.schedule.timezone, []), tonumber(try(
      regex("^cron\\([0-9]+ ([0-9]+) ", var.schedule.expression)[0],
      regex("^at\\([0-9-]+T([0-9]+):", var.schedule.expression)[0],
      -1,
    )))
    error_message = "schedule.expression is in an hour that the clocks of schedule.timezone leave out when they are put forward, and Scheduler skips that night: take an hour other than ${join(" and ", lookup(local.zones, var.schedule.timezone, []))}, or UTC."
  }

  validation {
    condition     = var.schedule.flexible_minutes >= 0 && var.schedule.flexible_minutes <= 1440
    error_message = "schedule.flexible_minutes must be from 0 (off) to 1440."
  }
}

variable "shards" {
  description = "Number of shards to plan, or the shards by hand, each a list of tables: [[\"orders\", \"items\"], [\"audit.*\"]]."
  type        = any
  default     = 4

  validation {
    condition = try(
      tonumber(var.shards) >= 1 && tonumber(var.shards) <= 500 && floor(tonumber(var.shards)) == tonumber(var.shards),
      length(var.shards) > 0 && length(var.shards) <= 500 && alltrue([for shard in var.shards : length(shard) > 0 && alltrue([for table in shard : can(regex("^[^\"'\\\\$%]+$", table))])]),
      false,
    )
    error_message = "shards must be a whole number from 1 to 500, or a list of at most 500 lists of table names without quotes, backslashes, $ or %."
  }
}

variable "max_concurrency" {
  description = "Number of shards that run at once; 0 means all."
  type        = number
  default     = 0

  validation {
    condition     = var.max_concurrency >= 0 && var.max_concurrency <= 40 && floor(var.max_concurrency) == var.max_concurrency
    error_message = "max_concurrency must be a whole number from 0 to 40, which is what an inline Map runs at once."
  }
}

variable "load_timeout_seconds" {
  description = "Seconds that a container may take."
  type        = number
  default     = 21600

  validation {
    condition     = var.load_timeout_seconds >= 300 && var.load_timeout_seconds <= 79200 && floor(var.load_timeout_seconds) == var.load_timeout_seconds
    error_message = "load_timeout_seconds must be a whole number from 300 to 79200: the execution has 82800 for all of its states."
  }
}

variable "batch_rows" {
  description = "Rows of a batch, in the state machine for one big table."
  type        = number
  default     = 20000

  validation {
    condition     = var.batch_rows >= 1 && floor(var.batch_rows) == var.batch_rows
    error_message = "batch_rows must be a whole number, 1 or more."
  }
}

variable "transform_state_machine_arn" {
  description = "ARN of your own state machine that runs after the publish, for instance for dbt; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.transform_state_machine_arn == null || can(regex("^arn:[a-z-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[A-Za-z0-9_-]+$", var.transform_state_machine_arn))
    error_message = "transform_state_machine_arn must be a state machine's ARN."
  }
}

variable "definitions_path" {
  description = "Folder of the state machines' definitions and the saved queries; null for the module's own, definitions/."
  type        = string
  default     = null
}

# ---- the functions

variable "notifier_zip" {
  description = "The notifier's zip; `make zips` makes dist/notifier.zip."
  type        = string
}

variable "starter_zip" {
  description = "The starter's zip; `make zips` makes dist/starter.zip."
  type        = string
}

variable "notifier_handler" {
  description = "Handler within the notifier's zip."
  type        = string
  default     = "notifier.app.handler"
}

variable "starter_handler" {
  description = "Handler within the starter's zip."
  type        = string
  default     = "starter.app.handler"
}

variable "zip_architecture" {
  description = "Architecture of the two zips' functions; they are Python alone and run on either."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.zip_architecture)
    error_message = "zip_architecture must be x86_64 or arm64."
  }
}

variable "function_entry_point" {
  description = "Entry point with which the image runs as a function."
  type        = list(string)
  default     = ["python", "-m", "awslambdaric"]
}

# ---- who is told, and what is kept

variable "create_topic" {
  description = "Whether to make an SNS topic for failures and alarms."
  type        = bool
  default     = true
}

variable "topic_arn" {
  description = "Your own SNS topic for failures and alarms, instead of a new one. It must let EventBridge and CloudWatch publish."
  type        = string
  default     = null

  validation {
    condition     = var.topic_arn == null || can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:", var.topic_arn))
    error_message = "topic_arn must be an SNS topic's ARN."
  }

  validation {
    condition     = var.create_topic == (var.topic_arn == null)
    error_message = "topic_arn goes with create_topic = false, and that with it."
  }
}

variable "emails" {
  description = "Addresses that hear of failures and alarms; each has to confirm."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+$", email))])
    error_message = "emails must be addresses."
  }
}

variable "runbook_url" {
  description = "Address of docs/operations.md, for the links in Slack's messages; empty: the messages name its sections without a link."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(https?://[^[:space:]#|<>]+)?$", var.runbook_url)) && length(var.runbook_url) <= 200
    error_message = "runbook_url must be an http:// or https:// URL of 200 characters at most, without # and what follows it, or empty."
  }
}

variable "never_started_hours" {
  description = "Hours without a start after which the alarm never-started goes off, if there was a start before; 26 for a nightly job."
  type        = number
  default     = 26

  validation {
    condition     = var.never_started_hours >= 1 && var.never_started_hours <= 168 && floor(var.never_started_hours) == var.never_started_hours
    error_message = "never_started_hours must be a whole number from 1 to 168, which is as far as an alarm looks back."
  }

  validation {
    condition     = var.never_started_hours > 26 || can(regex("^(cron\\([0-9]+ [0-9]+ (\\* \\* \\?|\\? \\* \\*) \\*\\)|rate\\(1 day\\)|at\\(.*\\))$", var.schedule.expression)) || !var.schedule.enabled
    error_message = "never_started_hours must be more than 26 where schedule.expression leaves out days, or its alarm rings for them: the hours of the longest gap between two starts, and two more."
  }
}

variable "published_by_minutes" {
  description = "The deadline: minutes after the schedule by which a run must be published. Otherwise Slack hears of it, and the topic by the alarm not-published."
  type        = number
  default     = 180

  validation {
    condition     = var.published_by_minutes > var.schedule.flexible_minutes && var.published_by_minutes <= 1440 && floor(var.published_by_minutes) == var.published_by_minutes
    error_message = "published_by_minutes must be a whole number up to 1440, and more than schedule.flexible_minutes: a run may begin that much later."
  }
}

variable "slow_minutes" {
  description = "Minutes after which a run counts as slow."
  type        = number
  default     = 120

  validation {
    condition     = var.slow_minutes >= 1
    error_message = "slow_minutes must be 1 or more."
  }
}

variable "metrics_namespace" {
  description = "CloudWatch namespace of the metrics of each table, which the runner's log lines carry; null for none, which costs nothing."
  type        = string
  default     = "NightlyEtl"

  validation {
    condition     = var.metrics_namespace == null || (can(regex("^[A-Za-z0-9._/#:-]{1,255}$", var.metrics_namespace)) && !can(regex("^AWS/", var.metrics_namespace)))
    error_message = "metrics_namespace must be 1 to 255 letters, digits and . _ / # : -, and not begin with AWS/."
  }
}

variable "metrics_dimensions" {
  description = "More dimensions of those metrics, name to value; deployment and table are always there."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.metrics_dimensions : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", key)) && can(regex("^[^,=]+$", value)) && !contains(["deployment", "table"], key)])
    error_message = "metrics_dimensions must have names of letters, digits and _ other than deployment and table, and values without , and =."
  }
}

variable "create_reports_bucket" {
  description = "Whether to make a private bucket for the pages of the nights. With false, and without reports_bucket, there are no pages."
  type        = bool
  default     = true
}

variable "reports_bucket" {
  description = "Your own bucket for the pages of the nights, instead of a new one. Keep it private, and let pages expire."
  type        = string
  default     = null

  validation {
    condition     = var.reports_bucket == null || (can(regex("^[a-z0-9]([a-z0-9-]|[.][a-z0-9-])*[a-z0-9]$", var.reports_bucket)) && try(length(var.reports_bucket) >= 3 && length(var.reports_bucket) <= 63, false))
    error_message = "reports_bucket must be a bucket's name alone: 3 to 63 lower-case letters, digits, . and -."
  }

  validation {
    condition     = !var.create_reports_bucket || var.reports_bucket == null
    error_message = "reports_bucket goes with create_reports_bucket = false."
  }
}

variable "reports_kms_key_arn" {
  description = "KMS key that encrypts reports_bucket, if one does; the one made here is encrypted with the deployment's."
  type        = string
  default     = null

  validation {
    condition     = var.reports_kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.reports_kms_key_arn))
    error_message = "reports_kms_key_arn must be the ARN of a key (not of an alias): IAM policies are written on keys."
  }

  validation {
    condition     = var.reports_kms_key_arn == null || (!var.create_reports_bucket && var.reports_bucket != null)
    error_message = "reports_kms_key_arn goes with reports_bucket: it is that bucket's key."
  }
}

variable "keep_reports_days" {
  description = "Days that the pages of the nights are kept in the bucket made here; 400 have the same night of last year."
  type        = number
  default     = 400

  validation {
    condition     = var.keep_reports_days >= 1 && floor(var.keep_reports_days) == var.keep_reports_days
    error_message = "keep_reports_days must be a whole number, 1 or more."
  }
}

variable "log_retention_days" {
  description = "Days that log lines are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "encrypt_logs" {
  description = "Whether the log groups are encrypted with the key; without it CloudWatch uses its own."
  type        = bool
  default     = true
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary for every role."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.permissions_boundary))
    error_message = "permissions_boundary must be a policy's ARN."
  }
}
