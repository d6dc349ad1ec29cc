"""From labelled numbers to tables, plots and documents."""
