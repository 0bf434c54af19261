output "repository_url" {
  description = "Where the image goes."
  value       = module.image.repository_url
}

output "state_machine_arns" {
  description = "The nightly state machine of each environment."
  value       = { for name, made in module.nightly_etl : name => made.state_machine_arn }
}

output "secrets_to_set" {
  description = "What is still to be set by hand, by environment."
  value       = { for name, made in module.nightly_etl : name => made.secrets_to_set }
}

output "starter_function_names" {
  description = "Call it to run an environment's job now."
  value       = { for name, made in module.nightly_etl : name => made.starter_function_name }
}

output "architecture" {
  description = "What the image is to be built for."
  value       = var.architecture
}
