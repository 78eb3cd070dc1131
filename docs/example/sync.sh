changecapture install env:CAMP_URL --profile generic
changecapture install env:CITY_URL --profile generic
changecapture sync env:CAMP_URL env:CITY_URL
