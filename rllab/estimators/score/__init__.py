"""Score functions and their relatives: gradients of expected costs from values of the cost at samples."""
