"""The second lesson: the actor believes the critic, and what the critic should have said."""
