# The nightly job, whole: the image's repository, the settings, one of three kinds of compute, the state machine and its
# functions, the schedule, and what tells when a night went wrong. Each part is in the file of its name.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.id # 5.x and 6.x of the provider have different names for it
  partition = data.aws_partition.this.partition

  parameter_path = coalesce(var.parameter_path, "/${var.name}")
  log_key        = var.encrypt_logs ? module.settings.kms_key_arn : null

  # What every process of the job is told; the rest it reads under the path.
  environment = merge(
    { ETL_LOG_FORMAT = "json" },
    local.for_jobs ? { ETL_PARAMETER_ROLE = local.job_settings_arn } : { ETL_PARAMETER_PATH = local.parameter_path },
    var.metrics_namespace == null ? {} : {
      ETL_METRICS_NAMESPACE  = var.metrics_namespace
      ETL_METRICS_DIMENSIONS = join(",", local.dimensions)
    },
    var.environment,
  )

  # table is the line's own; the deployment's name keeps two deployments' tables apart.
  dimensions = concat(["deployment=${var.name}"], [for key, value in var.metrics_dimensions : "${key}=${value}"], ["table"])
}

module "image" {
  source = "./modules/image"
  count  = var.create_repository ? 1 : 0

  name         = var.name
  keep         = var.keep_images
  force_delete = var.force_destroy
  tags         = var.tags
}

module "settings" {
  source = "./modules/settings"

  name    = var.name
  path    = local.parameter_path
  secrets = local.own_night ? var.secrets : {}
  plain   = var.settings
  tags    = var.tags

  create_kms_key = var.create_kms_key
  kms_key_arn    = var.kms_key_arn
}

# Beside the job's path and not under it: the copy reads all that is under its path, and is not to read Slack's secrets.
module "slack" {
  source = "./modules/settings"

  name           = var.name
  path           = "${local.parameter_path}-slack"
  secrets        = var.slack_secrets
  create_kms_key = false
  kms_key_arn    = module.settings.kms_key_arn
  kms_key_alias  = module.settings.kms_key_alias
  tags           = var.tags
}

locals {
  # A deployment of jobs reads nothing by itself (jobs.tf).
  settings_statements = concat(
    [for statement in module.settings.read_statements : statement if local.own_night],
    [for statement in local.assume_job_settings : statement if local.for_jobs],
  )

  job_statements = concat(local.settings_statements, [for statement in [
    # Signs in to the databases with tokens, as these users and no others.
    {
      Sid      = "SignInToDatabases"
      Effect   = "Allow"
      Action   = ["rds-db:connect"]
      Resource = var.rds_db_users
    },
  ] : statement if length(var.rds_db_users) > 0])

  # The repository made here, and the image's own, which is another one where a deployment takes over the image of
  # another: staging's, say. By name, so that a plan knows how many there are.
  repository_arns = distinct(concat(
    [for name in [var.name] : "arn:${local.partition}:ecr:${local.region}:${local.account}:repository/${name}" if var.create_repository],
    [
      for parts in regexall("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.[^/]+/([^@:]+)", var.image) :
      "arn:${local.partition}:ecr:${parts[1]}:${parts[0]}:repository/${parts[2]}"
    ],
  ))

  pull_statements = [for statement in [
    # A token for the registry; the API takes no resource.
    {
      Sid      = "SignInToRegistry"
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = ["*"]
    },
    # The job's image, from its repository.
    {
      Sid      = "PullTheImage"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = local.repository_arns
    },
  ] : statement if length(local.repository_arns) > 0]
}

# ---- compute: exactly one of the three

module "batch" {
  source = "./modules/batch"
  count  = var.compute == "batch" ? 1 : 0

  name                 = var.name
  image                = var.image
  platform             = var.batch.platform
  spot                 = var.batch.spot
  max_vcpus            = var.batch.max_vcpus
  instance_types       = var.batch.instance_types
  vcpu                 = var.batch.vcpu
  memory_mb            = var.batch.memory_mb
  ephemeral_storage_gb = var.batch.ephemeral_storage_gb
  runnable_minutes     = var.batch.runnable_minutes
  timeout_seconds      = var.load_timeout_seconds
  architecture         = var.architecture
  assign_public_ip     = var.assign_public_ip
  subnet_ids           = var.subnet_ids
  security_group_ids   = local.security_group_ids
  environment          = local.environment
  statements           = local.job_statements
  pull_statements      = local.pull_statements
  log_retention_days   = var.log_retention_days
  log_kms_key_arn      = local.log_key
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  create_job_role       = var.create_job_role
  job_role_arn          = var.job_role_arn
  volumes               = var.volumes
  container_secrets     = var.container_secrets
  container_secret_keys = var.container_secret_keys
}

module "fargate" {
  source = "./modules/fargate"
  count  = var.compute == "fargate" ? 1 : 0

  name                        = var.name
  image                       = var.image
  create_cluster              = var.fargate.create_cluster
  cluster_arn                 = var.fargate.cluster_arn
  spot                        = var.fargate.spot
  vcpu                        = var.fargate.vcpu
  memory_mb                   = var.fargate.memory_mb
  ephemeral_storage_gb        = var.fargate.ephemeral_storage_gb
  extra_container_definitions = var.extra_container_definitions
  architecture                = var.architecture
  assign_public_ip            = var.assign_public_ip
  subnet_ids                  = var.subnet_ids
  security_group_ids          = local.security_group_ids
  environment                 = local.environment
  statements                  = local.job_statements
  pull_statements             = local.pull_statements
  log_retention_days          = var.log_retention_days
  log_kms_key_arn             = local.log_key
  permissions_boundary        = var.permissions_boundary
  tags                        = var.tags

  create_job_role       = var.create_job_role
  job_role_arn          = var.job_role_arn
  volumes               = var.volumes
  container_secrets     = var.container_secrets
  container_secret_keys = var.container_secret_keys
}

module "codebuild" {
  source = "./modules/codebuild"
  count  = var.compute == "codebuild" ? 1 : 0

  name                 = var.name
  image                = var.image
  source_code          = var.codebuild.source_code
  source_statements    = var.codebuild_source_statements
  standard_image       = var.codebuild.standard_image
  compute_type         = var.codebuild.compute_type
  concurrent_builds    = var.codebuild.concurrent_builds
  timeout_minutes      = max(5, ceil(var.load_timeout_seconds / 60))
  architecture         = var.architecture
  vpc_id               = var.vpc_id
  subnet_ids           = var.subnet_ids
  security_group_ids   = local.security_group_ids
  environment          = local.environment
  statements           = local.job_statements
  pull_statements      = local.pull_statements
  log_retention_days   = var.log_retention_days
  log_kms_key_arn      = local.log_key
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

locals {
  compute_modules  = concat(module.batch, module.fargate, module.codebuild)
  job_log_group    = local.compute_modules[0].log_group_name
  job_role_arn     = local.compute_modules[0].job_role_arn
  start_statements = local.compute_modules[0].start_statements
}
