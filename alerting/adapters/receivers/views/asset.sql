SELECT DISTINCT asset FROM {assets} AS every_row
