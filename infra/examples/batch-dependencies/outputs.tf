output "repository_url" {
  description = "Where the image goes."
  value       = module.image.repository_url
}

output "state_machine_arn" {
  description = "Start it to submit both jobs."
  value       = aws_sfn_state_machine.chain.arn
}

output "secrets_to_set" {
  description = "What is still to be set by hand."
  value       = module.settings.secret_names
}

output "architecture" {
  description = "What the image is to be built for."
  value       = var.architecture
}
