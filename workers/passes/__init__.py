"""What engines are asked to do with a subject: values that can be compared, so that equal passes are made once."""
