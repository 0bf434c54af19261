output "repository_url" {
  description = "Repository to push to: `docker push <repository_url>:<tag>`."
  value       = aws_ecr_repository.this.repository_url
}

output "repository_arn" {
  description = "ARN of the repository."
  value       = aws_ecr_repository.this.arn
}
