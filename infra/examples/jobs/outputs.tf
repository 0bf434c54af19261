output "repository_url" {
  description = "Repository of the image."
  value       = module.nightly_etl.repository_url
}

output "architecture" {
  description = "Architecture of the image."
  value       = module.nightly_etl.architecture
}

output "secrets_to_set" {
  description = "SecureStrings to set by hand."
  value       = module.nightly_etl.secrets_to_set
}

output "jobs_path" {
  description = "The path under which each job has its settings."
  value       = module.nightly_etl.jobs_path
}

output "state_machine_arn" {
  description = "The nightly state machine."
  value       = module.nightly_etl.state_machine_arn
}

output "jobs_table" {
  description = "The table of jobs."
  value       = module.scheduler.table_name
}

output "jobs_queue_url" {
  description = "The queue of due times."
  value       = module.scheduler.queue_url
}

output "operator_policy_arn" {
  description = "Policy for people who use `nightly-jobs`."
  value       = module.scheduler.operator_policy_arn
}
