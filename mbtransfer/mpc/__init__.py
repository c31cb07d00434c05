"""Model predictive control: objectives, task rewards, controllers and the agent."""
