output "repository_url" {
  description = "Where the image goes."
  value       = module.image.repository_url
}

output "architecture" {
  description = "What the image is to be built for."
  value       = var.architecture
  depends_on  = [module.image] # with the repository, so that `apply -target` of it gives this, too
}

output "secrets_to_set" {
  description = "What is still to be set by hand."
  value       = module.settings.secret_names
}

output "cluster_arn" {
  description = "Cluster of the task."
  value       = module.task.cluster_arn
}
