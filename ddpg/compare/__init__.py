"""The lesson: what each way of handling the critic in the actor's update does, measured."""
