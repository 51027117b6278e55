"""Score functions with differentiable control variates, given or learned: REBAR, RELAX, LAX and MuProp."""
