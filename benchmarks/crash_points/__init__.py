"""Every instant at which a kill could do harm, one after the other."""
