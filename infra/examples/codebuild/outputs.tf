output "repository_url" {
  description = "Where the image goes."
  value       = module.nightly_etl.repository_url
}

output "architecture" {
  description = "What the image is to be built for."
  value       = module.nightly_etl.architecture
}

output "secrets_to_set" {
  description = "What is still to be set by hand."
  value       = module.nightly_etl.secrets_to_set
}

output "state_machine_arn" {
  description = "The nightly state machine."
  value       = module.nightly_etl.state_machine_arn
}

output "starter_function_name" {
  description = "Call it to run now."
  value       = module.nightly_etl.starter_function_name
}
