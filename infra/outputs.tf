output "repository_url" {
  description = "Repository to which `make deploy` pushes the image; null if the module creates none."
  value       = one([for made in module.image : made.repository_url])
}

output "architecture" {
  description = "Architecture for which `make deploy` builds the image."
  value       = var.architecture
  depends_on  = [module.image] # with the repository, so that `apply -target` of it gives this, too
}

output "state_machine_arn" {
  description = "The nightly state machine."
  value       = aws_sfn_state_machine.nightly.arn
}

output "batches_state_machine_arn" {
  description = "The state machine that takes one big table batch by batch."
  value       = aws_sfn_state_machine.batches.arn
}

output "starter_function_name" {
  description = "Null in a deployment of jobs. Call it to run now: `aws lambda invoke --function-name … --payload '{\"rerun\": \"2\"}' …`."
  value       = one(module.starter[*].name)
}

output "jobs_path" {
  description = "Path under which each job has its settings; null for a deployment of one night."
  value       = local.for_jobs ? local.jobs_path : null
}

output "job_settings_role_arn" {
  description = "The role that a run assumes to read its job's settings; null for a deployment of one night."
  value       = one(aws_iam_role.job_settings[*].arn)
}

output "notifier_function_name" {
  description = "The function that tells Slack; the scheduler of jobs calls it."
  value       = module.notifier.name
}

output "secrets_to_set" {
  description = "The SecureStrings that hold a placeholder until somebody sets them."
  value       = concat(module.settings.secret_names, module.slack.secret_names)
}

output "parameter_path" {
  description = "ETL_PARAMETER_PATH of the job."
  value       = module.settings.path
}

output "kms_key_arn" {
  description = "The key of secrets, logs, the pages of the nights and the topic."
  value       = module.settings.kms_key_arn
}

output "topic_arn" {
  description = "The topic of failures and alarms."
  value       = local.topic_arn
}

output "job_role_arn" {
  description = "The role of the copy itself."
  value       = local.job_role_arn
}

output "job_statements" {
  description = "IAM statements that the copy itself needs, for your own role."
  value       = local.job_statements
}

output "security_group_ids" {
  description = "The job's security groups; a database's group must let them in."
  value       = local.security_group_ids
}

output "log_group_name" {
  description = "The job's log group."
  value       = local.job_log_group
}

output "reports_bucket" {
  description = "The bucket with the pages of the nights: nights/latest.html, and nights/RUN_ID.html; null without pages."
  value       = local.has_reports ? local.reports_bucket : null
}

output "report_reader_statements" {
  description = "IAM statements that a person needs to read the pages, for your own roles and permission sets."
  value       = local.report_reader_statements
}

output "dashboard_name" {
  description = "The CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "failed_execution_pattern" {
  description = "The event pattern of failed executions, as JSON."
  value       = aws_cloudwatch_event_rule.failed.event_pattern
}
