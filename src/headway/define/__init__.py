"""The Define stage: from a look at the data to a brief, and from a brief to the five questions with evidence."""
