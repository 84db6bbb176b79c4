"""The ports on AWS: blobs in S3, the label table in DynamoDB."""
