"""State on AWS: DynamoDB holds what is true, SQS tells where there is work."""
