"""RunPod's serverless endpoints that work through a queue, as calls over HTTP."""
