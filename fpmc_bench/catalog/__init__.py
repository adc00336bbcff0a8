"""From a name to a thing: plugins, parameters, places, suites, entries, denoisers."""
