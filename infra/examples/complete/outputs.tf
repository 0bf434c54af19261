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

output "reports_bucket" {
  description = "The bucket with the pages of the nights."
  value       = module.nightly_etl.reports_bucket
}

output "state_machine_arn" {
  description = "The nightly state machine."
  value       = module.nightly_etl.state_machine_arn
}

output "starter_function_name" {
  description = "Call it to run now."
  value       = module.nightly_etl.starter_function_name
}
