"""All that knows web3: providers, deployment, typed contract bindings, events, accounts."""
